package modelfile_test

import (
	"testing"

	"github.com/cria-llm/cria/internal/format/safetensors"
)

// rawSafetensors reads a directory's tensors by name without package modelfile.
func rawSafetensors(t testing.TB, dir string) map[string]string {
	t.Helper()
	f, err := safetensors.Open(dir + "/model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw := map[string]string{}
	for _, x := range f.Tensors() {
		raw[x.Key] = x.TypeName + string(rawOf(t, x))
	}
	return raw
}
