package llama

import (
	"math"
	"testing"

	"github.com/cria-llm/cria/internal/device/ref"
)

// The tables hold the same angles however they grew. Values are Python's, of
// frequencies 1 and 0.01.
func TestRopeTablesGrow(t *testing.T) {
	c := Config{HeadDim: 4, RopeTheta: 10000}
	dev := ref.New[float32]()
	for _, steps := range [][]int{{3000}, {1, 1024, 1025, 1500, 3000}, {3000, 10}} {
		var r ropeTables
		if err := r.allocate(dev, &c, 3000); err != nil {
			t.Fatal(err)
		}
		for _, n := range steps {
			r.grow(dev, n)
		}
		for _, want := range []struct {
			pos      int
			cos, sin [2]float64
		}{
			{0, [2]float64{1.000000000, 1.000000000}, [2]float64{0.000000000, 0.000000000}},
			{1, [2]float64{0.540302306, 0.999950000}, [2]float64{0.841470985, 0.009999833}},
			{1023, [2]float64{0.400068197, -0.692951495}, [2]float64{-0.916485372, -0.720984206}},
			{1024, [2]float64{0.987353618, -0.685706960}, [2]float64{-0.158533380, -0.727877713}},
			{1500, [2]float64{-0.110267403, -0.759687913}, [2]float64{-0.993901957, 0.650287840}},
			{2999, [2]float64{-0.342721339, 0.144363359}, [2]float64{0.939437110, -0.989524745}},
		} {
			var cos, sin [2]float32
			dev.Download(cos[:], r.cos.Slice(want.pos, want.pos+1))
			dev.Download(sin[:], r.sin.Slice(want.pos, want.pos+1))
			for i := range cos {
				if math.Abs(float64(cos[i])-want.cos[i]) > 1e-6 || math.Abs(float64(sin[i])-want.sin[i]) > 1e-6 {
					t.Errorf("steps %v, position %d, pair %d: cos %v, sin %v, want %v, %v", steps, want.pos, i, cos[i], sin[i], want.cos[i], want.sin[i])
				}
			}
		}
	}
}

// Room for many positions costs nothing until a sequence gets there.
func TestRopeTablesOfALongContext(t *testing.T) {
	c := Config{HeadDim: 4, RopeTheta: 10000}
	var r ropeTables
	if err := r.allocate(ref.New[float32](), &c, 1<<20); err != nil {
		t.Fatal(err)
	}
	if r.grow(ref.New[float32](), 5); r.have != ropeChunk {
		t.Errorf("%d positions were computed for 5", r.have)
	}
}
