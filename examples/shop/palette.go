package main

import (
	"fmt"
	"hash/fnv"
	"math"
)

// palette is what the shop sells: five colours that belong to a word.
type palette struct {
	Word    string
	Colours []string // #rrggbb, from dark to light
}

// newPalette makes the palette of a word, always the same one.
func newPalette(word string) palette {
	h := fnv.New64a()
	_, _ = h.Write([]byte(word))
	sum := h.Sum64()
	hue := float64(sum % 360)
	turn := []float64{12, 24, 36, 60, -18}[sum/360%5] // from one colour to the next
	p := palette{Word: word}
	for i, lightness := range []float64{0.32, 0.50, 0.66, 0.81, 0.94} {
		chroma := []float64{0.07, 0.13, 0.15, 0.09, 0.03}[i]
		p.Colours = append(p.Colours, oklch(lightness, chroma, hue+float64(i)*turn))
	}
	return p
}

// oklch is a colour by its lightness as people see it, its strength and its hue in degrees.
func oklch(lightness, chroma, hue float64) string {
	sin, cos := math.Sincos(hue * math.Pi / 180)
	a, b := chroma*cos, chroma*sin
	l := math.Pow(lightness+0.3963377774*a+0.2158037573*b, 3)
	m := math.Pow(lightness-0.1055613458*a-0.0638541728*b, 3)
	s := math.Pow(lightness-0.0894841775*a-1.2914855480*b, 3)
	return fmt.Sprintf("#%02x%02x%02x",
		channel(4.0767416621*l-3.3077115913*m+0.2309699292*s),
		channel(-1.2684380046*l+2.6097574011*m-0.3413193965*s),
		channel(-0.0041960863*l-0.7034186147*m+1.7076147010*s))
}

// channel is a linear part of light as sRGB writes it.
func channel(x float64) uint8 {
	if x <= 0.0031308 {
		x *= 12.92
	} else {
		x = 1.055*math.Pow(x, 1/2.4) - 0.055
	}
	return uint8(math.Round(255 * min(max(x, 0), 1)))
}
