package report

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/plot"
)

const evil = `<img src=x onerror=alert(1)><script>alert(2)</script>`

func example(t *testing.T) *Page {
	fig, err := plot.Bars(plot.Frame{Title: evil}, []string{evil}, false, plot.Series{Name: evil, Values: []float64{1}})
	if err != nil {
		t.Fatal(err)
	}
	return &Page{Title: "Data & more", Lead: evil, Sections: []Section{
		{evil, []Part{Text(evil), Table{evil, []string{"rule", "dropped"}, [][]string{{evil, "12,000"}, {"short", "7"}}}}},
		{"Figures", []Part{Figure{fig, evil}}},
		{"Examples", []Part{Folded{evil, []Part{Quote{evil, "two\nlines " + evil}}}}},
	}}
}

// TestPage: whatever a report quotes is text, nothing of it is an element or an
// attribute, and nothing is fetched from anywhere.
func TestPage(t *testing.T) {
	var b bytes.Buffer
	if err := example(t).Write(&b); err != nil {
		t.Fatal(err)
	}
	html := b.String()
	for _, bad := range []string{"<img", "<script", "src=\"", "<link", "@import", "url("} {
		if strings.Contains(html, bad) {
			t.Errorf("the page contains %s", bad)
		}
	}
	// The one address is SVG's name space, which nobody fetches.
	for _, address := range regexp.MustCompile(`\w+://[^"' ]*`).FindAllString(html, -1) {
		if address != "http://www.w3.org/2000/svg" {
			t.Errorf("the page names %s", address)
		}
	}
	if n := strings.Count(html, "&lt;script&gt;"); n < 9 {
		t.Errorf("the quoted text stands %d times in the page", n)
	}
	for _, want := range []string{"<title>Data &amp; more</title>", `<td class="n">12,000</td>`, `<td>short</td>`, "two\nlines", `href="#s3"`, `id="s3"`, "<svg ", "<details>"} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func TestNumbers(t *testing.T) {
	got := numbers(Table{Head: []string{"name", "n", "share", "empty"}, Rows: [][]string{{"7m", "1", "–", ""}, {"books", "-2 %", "+3.5", ""}}})
	if !slices.Equal(got, []bool{false, true, true, false}) {
		t.Errorf("%v", got)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestErrors(t *testing.T) {
	p := &Page{Sections: []Section{{"Rules", []Part{Table{Caption: "Drops", Head: []string{"a", "b"}, Rows: [][]string{{"1"}}}}}}}
	var b bytes.Buffer
	if err := p.Write(&b); err == nil || !strings.Contains(err.Error(), `section "Rules": table "Drops": row 0 has 1 cells for 2 columns`) || b.Len() > 0 {
		t.Errorf("got %v and %d bytes", err, b.Len())
	}
	if err := example(t).Write(failing{}); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("got %v", err)
	}
}
