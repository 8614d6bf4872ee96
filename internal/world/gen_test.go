package world

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/chat"
)

func TestWrite(t *testing.T) {
	w := New(1)
	for _, kind := range GenKinds {
		var b bytes.Buffer
		rep, err := w.Write(t.Context(), &b, GenConfig{Kind: kind, Docs: 40, Seed: 3}, nil)
		if err != nil {
			t.Fatal(kind, err)
		}
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if len(lines) != 40 || rep.Docs != 40 || rep.Bytes != int64(b.Len()) {
			t.Errorf("%s: %d lines, %+v", kind, len(lines), rep)
		}
		for _, l := range lines {
			var d struct {
				Text     string
				Messages chat.Dialog
			}
			if err := json.Unmarshal([]byte(l), &d); err != nil {
				t.Fatal(kind, err)
			}
			if (d.Text == "") != (len(d.Messages) > 0) {
				t.Errorf("%s: %s", kind, l)
			}
			for _, m := range d.Messages {
				if m.Content == "" {
					t.Errorf("%s has an empty message: %s", kind, l)
				}
			}
			if d.Messages != nil && d.Messages[len(d.Messages)-1].Role != chat.Assistant {
				t.Errorf("%s does not end with an answer: %s", kind, l)
			}
		}
	}
	var b bytes.Buffer
	rep, err := w.Write(t.Context(), &b, GenConfig{Kind: "base", Tokens: 1000, Seed: 1}, nil)
	if err != nil || rep.Tokens < 1000 || rep.Tokens > 1400 {
		t.Errorf("%+v %v", rep, err)
	}
}

func TestWriteRefuses(t *testing.T) {
	w := New(1)
	for want, c := range map[string]GenConfig{
		"no kind of text":  {Kind: "poems", Docs: 1},
		"how many":         {Kind: "base"},
		"negative":         {Kind: "base", Docs: -1},
		"no held-out part": {Kind: "facts", Docs: 1, Split: HeldOut},
	} {
		if _, err := w.Write(t.Context(), &bytes.Buffer{}, c, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", c, err, want)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := w.Write(ctx, &bytes.Buffer{}, GenConfig{Kind: "base", Docs: 1e9}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	full := errors.New("no space")
	if _, err := w.Write(t.Context(), failWriter{full}, GenConfig{Kind: "base", Docs: 1}, nil); !errors.Is(err, full) {
		t.Errorf("full disk: %v", err)
	}
}

type failWriter struct{ err error }

func (f failWriter) Write([]byte) (int, error) { return 0, f.err }

// TestWorldIsLargeEnough: what the project asks of the world.
func TestWorldIsLargeEnough(t *testing.T) {
	w := New(1)
	total := 0
	for _, n := range w.Entities() {
		total += n
	}
	s := w.Summary()
	if total < 200 || len(s.Questions) < 12 || s.Instructions < 30 {
		t.Errorf("%d entities, %+v", total, s)
	}
	text, ok := w.Profile("Tom")
	if rep := w.CheckStory(text); !ok || !rep.OK() || rep.Sentences != personFacts {
		t.Errorf("profile: %q %s", text, rep.String())
	}
	if _, ok := w.Profile("Nobody"); ok {
		t.Error("a profile of nobody")
	}
}

// TestFactsAreConsistent: friends are mutual, pets have one owner, no name is in
// two tables that a slot might confuse.
func TestFactsAreConsistent(t *testing.T) {
	for seed := uint64(1); seed < 5; seed++ {
		w := New(seed)
		for i := 1; i < len(w.people); i++ {
			p := w.people[i]
			if w.people[p.friend].friend != i || p.friend == i || w.pets[p.pet].owner != i {
				t.Errorf("seed %d: %+v", seed, p)
			}
		}
	}
	w := New(1)
	seen := map[string]class{}
	for _, c := range []class{clPerson, clPet, clVillage, clPlace, clObject, clGoods, clGoodsPlural, clJob, clFood, clAnimal, clTreasure, clColour, clSize, clMood, clWeather} {
		for _, n := range w.lex.names[c] {
			if d, ok := seen[n]; ok {
				t.Errorf("%q is in the tables %d and %d", n, d, c)
			}
			seen[n] = c
		}
	}
}
