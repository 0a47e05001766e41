package browsertest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for anything.
const patience = 30 * time.Second

// screen is what the browser is shown on.
type screen struct {
	width, height int64
	dark          bool
}

var (
	desktop = screen{1200, 900, false}
	phone   = screen{375, 740, true}
)

// tab is a browser with one tab. It remembers whatever the tests forbid: errors on the console, and requests that leave
// the machine.
type tab struct {
	*testing.T
	ctx    context.Context
	screen screen

	mu        sync.Mutex
	documents []string // addresses of the pages themselves
	requests  []string
	entries   []*log.Entry
	errors    []string
}

// chromium is the browser's program.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("there is no Chromium")
	}
	t.Skip("there is no Chromium: install the package chromium, or set CHROMIUM to the program")
	return ""
}

// open starts a browser of its own, which knows nothing of the others.
func open(t *testing.T, s screen) *tab {
	t.Helper()
	opts := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.WindowSize(int(s.width), int(s.height)),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")) // nothing leaves the machine even if it tries
	ctx, cancel := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), opts...)
	t.Cleanup(cancel)
	ctx, _ = chromedp.NewContext(ctx)
	b := &tab{T: t, ctx: ctx, screen: s}
	require.NoError(t, chromedp.Do(ctx)) // starts the browser, which lives as long as this context
	t.Cleanup(func() {
		if t.Failed() {
			b.picture("failed-" + strings.ReplaceAll(t.Name(), "/", "-"))
		}
		assert.NoError(t, chromedp.Cancel(ctx))
		b.quiet()
	})
	require.NoError(t, chromedp.Listen(ctx, b.heard))
	scheme := "light"
	if s.dark {
		scheme = "dark"
	}
	b.do(chromedp.EmulateViewport(s.width, s.height), chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		return err
	}))
	return b
}

// heard remembers what the browser reports.
func (b *tab) heard(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
		if e.Type == network.ResourceTypeDocument {
			b.documents = append(b.documents, e.Request.URL)
		}
	case *log.EventEntryAdded:
		b.entries = append(b.entries, e.Entry)
	case *runtime.EventExceptionThrown:
		b.errors = append(b.errors, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" {
			b.errors = append(b.errors, fmt.Sprint("console.", e.Type))
		}
	}
}

// quiet fails the test if the browser had something to complain about, or asked for something outside.
func (b *tab) quiet() {
	b.mu.Lock()
	defer b.mu.Unlock()
	assert.NotEmpty(b, b.requests)
	for _, raw := range b.requests {
		assert.True(b, isLocal(raw), "a request left the machine: %s", raw)
	}
	for _, e := range b.entries {
		// a page with a status of 400 or more is a complaint, too, and what the tests want to see
		if e.Source == log.EntrySourceNetwork && slices.Contains(b.documents, e.URL) && !strings.Contains(e.Text, "status of 5") {
			continue
		}
		b.errors = append(b.errors, fmt.Sprintf("%s %s: %s %s", e.Source, e.Level, e.Text, e.URL))
	}
	assert.Empty(b, b.errors, "the console")
}

func isLocal(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	if u.Scheme == "data" || u.Scheme == "about" {
		return true
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.IsLoopback()
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	require.NoError(b, chromedp.Do(ctx, actions...))
}

// get runs an action that has a value.
func get[T any](b *tab, action chromedp.Action[T]) T {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	require.NoError(b, err)
	return value
}

// load does something that leads to another page, waits for that, and returns its status.
func (b *tab) load(action chromedp.Action[chromedp.Void], what string) int {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	resp, err := chromedp.RunResponse(ctx, action)
	require.NoError(b, err, what)
	require.NotNil(b, resp, what)
	return int(resp.Status)
}

// visit opens an address.
func (b *tab) visit(address string) int {
	b.Helper()
	return b.load(chromedp.Navigate(address), address)
}

// press follows the link or presses the button with this text.
func (b *tab) press(text string) int {
	b.Helper()
	name := "'" + text + "'"
	return b.load(chromedp.Click("//button[normalize-space()="+name+"] | //a[normalize-space()="+name+"]"), text)
}

// fill types into the field with this label.
func (b *tab) fill(label, value string) {
	b.Helper()
	name := "'" + label + "'"
	field := "//*[@id=//label[normalize-space()=" + name + "]/@for] | //label[normalize-space(text())=" + name + "]//input"
	b.do(chromedp.Clear(field), chromedp.SendKeys(field, value))
}

// text is what the page says.
func (b *tab) text() string {
	b.Helper()
	return get(b, chromedp.Evaluate[string]("document.body ? document.body.innerText : ''"))
}

// sees waits until the page says something.
func (b *tab) sees(words ...string) {
	b.Helper()
	for _, w := range words {
		data, _ := json.Marshal(w)
		b.until("document.body && document.body.innerText.includes(" + string(data) + ")")
	}
}

// until waits until an expression is true in the page, on whatever page that is.
func (b *tab) until(expression string) {
	b.Helper()
	deadline := time.Now().Add(patience)
	for {
		ctx, cancel := context.WithDeadline(b.ctx, deadline)
		_, err := chromedp.Run(ctx, chromedp.Poll[bool](expression, chromedp.WithPollingInterval(50*time.Millisecond)))
		cancel()
		if err == nil {
			return
		}
		// waiting does not outlast the page: look at the next one
		if time.Now().After(deadline) {
			require.NoError(b, err, "%s, on\n%s", expression, b.text())
		}
	}
}

// eventually loads the page anew until it says something: what Polar counts takes a moment.
func (b *tab) eventually(words string) {
	b.Helper()
	deadline := time.Now().Add(patience)
	for text := b.text(); !strings.Contains(text, words); text = b.text() {
		require.True(b, time.Now().Before(deadline), "%q is not in\n%s", words, text)
		b.load(chromedp.Reload(), "reload")
	}
}

// address is where the tab is.
func (b *tab) address() *url.URL {
	b.Helper()
	u, err := url.Parse(get(b, chromedp.Location()))
	require.NoError(b, err)
	return u
}

// shot takes a picture of the whole page for people, and looks at it as far as a program can.
func (b *tab) shot(name string) {
	b.Helper()
	b.looksRight(name)
	b.picture(name)
}

// picture takes the picture only.
func (b *tab) picture(name string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if assert.NoError(b, err, "the picture %s", name) {
		assert.NoError(b, os.WriteFile(filepath.Join(shots(b.T), name+".png"), png, 0o644))
	}
}

// shots is the folder for the pictures.
func shots(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("SHOTS")
	if dir == "" {
		dir = "shots"
	}
	require.NoError(t, os.MkdirAll(dir, 0o755))
	return dir
}

// looksRight checks what can be computed: nothing is wider than the screen, text can be told from its ground, and
// fields have labels.
func (b *tab) looksRight(name string) {
	b.Helper()
	assert.Empty(b, get(b, chromedp.Evaluate[[]string](lookScript)), "the page %s", name)
}

const lookScript = `(() => {
  const faults = [], seen = el => el.checkVisibility({visibilityProperty: true});
  if (document.documentElement.scrollWidth > innerWidth) faults.push("wider than the screen: " + document.documentElement.scrollWidth);
  for (const el of document.querySelectorAll("section, .card, table"))
    if (seen(el) && el.scrollWidth > el.clientWidth + 1) faults.push("too narrow for its content: " + el.outerHTML.slice(0, 60));
  if (document.querySelectorAll("h1").length !== 1) faults.push("not one h1");
  if (!document.documentElement.lang) faults.push("no language");
  if (!document.title) faults.push("no title");
  for (const el of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
    if (seen(el) && !el.labels.length && !el.ariaLabel) faults.push("no label: " + el.name);
  for (const el of document.querySelectorAll("a, button")) {
    if (!seen(el) || el.closest(".skip")) continue;
    if (!el.innerText.trim() && !el.ariaLabel) faults.push("no name: " + el.outerHTML);
    el.scrollIntoView({block: "center", behavior: "instant"});
    const box = el.getClientRects()[0], top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    if (!el.contains(top)) faults.push("covered: " + el.innerText);
  }
  scrollTo({top: 0, behavior: "instant"});

  const pen = Object.assign(document.createElement("canvas"), {width: 1, height: 1}).getContext("2d", {willReadFrequently: true});
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const paint = (colours) => {
    pen.globalAlpha = 1;
    pen.fillStyle = dark ? "#121212" : "#ffffff"; // the browser's own ground
    pen.fillRect(0, 0, 1, 1);
    for (const [colour, alpha] of colours) { pen.globalAlpha = alpha; pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
    return light(pen.getImageData(0, 0, 1, 1).data);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const el = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
    if (!text || !seen(el) || el.closest("script, style, svg") || getComputedStyle(el).clipPath !== "none" || el.closest(".skip")) continue;
    const up = [];
    let alpha = 1;
    for (let e = el; e; e = e.parentElement) { up.unshift([getComputedStyle(e).backgroundColor, 1]); alpha *= getComputedStyle(e).opacity; }
    const style = getComputedStyle(el), ground = paint(up), front = paint([...up, [style.color, alpha]]);
    const contrast = (Math.max(ground, front) + 0.05) / (Math.min(ground, front) + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700;
    if (contrast < (large ? 3 : 4.5)) faults.push("contrast " + contrast.toFixed(2) + ": " + text.slice(0, 40));
  }
  return faults;
})()`
