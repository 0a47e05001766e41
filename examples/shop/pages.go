package main

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/polar-go/polar/models"
)

//go:embed pages
var files embed.FS

// pages are the templates by name, each with the layout around it.
var pages = parsePages("home", "sign-up", "sign-in", "success", "account", "denied", "palettes", "webhooks", "message")

func parsePages(names ...string) map[string]*template.Template {
	layout := template.Must(template.New("").Funcs(template.FuncMap{
		"money":   models.FormatAmount[string],
		"day":     func(t time.Time) string { return t.UTC().Format("2 January 2006") },
		"clock":   func(t time.Time) string { return t.UTC().Format("2 Jan 15:04:05") },
		"times":   func(a, b int) int { return a * b },
		"link":    func(path, label, here string) linkView { return linkView{Path: path, Label: label, Here: path == here} },
		"percent": func(part float64, all int) float64 { return min(100*part/max(float64(all), 1), 100) },
		"words":   func(s models.OrderStatus) string { return strings.ReplaceAll(string(s), "_", " ") },
	}).ParseFS(files, "pages/layout.html"))
	all := map[string]*template.Template{}
	for _, name := range names {
		all[name] = template.Must(template.Must(layout.Clone()).ParseFS(files, "pages/"+name+".html"))
	}
	return all
}

var style = func() []byte {
	data, err := files.ReadFile("pages/style.css")
	if err != nil {
		panic(err)
	}
	return data
}()

func serveStyle(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=300")
	http.ServeContent(w, r, "style.css", time.Time{}, bytes.NewReader(style))
}

// view is what every page shows; its own data are in Body.
type view struct {
	Title string
	Error string
	Path  string    // of the request
	User  *user     // who is signed in
	Clock time.Time // of the Polar server inside the program, zero with a real one
	Body  any
}

// linkView is an entry of the navigation.
type linkView struct {
	Path, Label string
	Here        bool
}

type homeView struct {
	Samples []palette
	Offers  []offer
	Current string // the product that the user has
}

type formView struct{ Name, Email, Plan, Next string }

// Query keeps what the user wants on the way between the forms.
func (v formView) Query() string {
	q := url.Values{}
	if v.Plan != "" {
		q.Set("plan", v.Plan)
	}
	if v.Next != "" {
		q.Set("next", v.Next)
	}
	return q.Encode()
}

type successView struct{ Active bool }

type accountView struct {
	Subscription *models.Subscription
	Usage        *models.CustomerStateMeter
	Orders       []models.Order
	Customer     bool // Polar knows the user
}

type palettesView struct {
	Word     string // what the form was sent with
	Palettes []palette
}

type webhooksView struct {
	Deliveries []receipt
	Refused    int
}
