package modelfile

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cria-llm/cria/internal/chat"
	"github.com/cria-llm/cria/internal/sys/atomicfile"
)

// ollamaTemplates write the known chat formats in Ollama's template language,
// Go's text/template with .System and .Messages. Ollama puts BOS in front of the
// whole and reads special tokens out of the text.
var ollamaTemplates = map[string]string{
	"llama2": `{{- range $i, $m := .Messages }}
{{- if eq $m.Role "user" }}[INST] {{ if and $.System (le $i 1) }}<<SYS>>
{{ $.System }}
<</SYS>>

{{ end }}{{ $m.Content }} [/INST]
{{- else if eq $m.Role "assistant" }} {{ $m.Content }} </s><s>
{{- end }}
{{- end }}`,
	"zephyr": `{{- range .Messages }}<|{{ .Role }}|>
{{ .Content }}</s>
{{ end }}<|assistant|>
`,
	"chatml": `{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
`,
}

// ollamaStops are texts at which an answer ends.
var ollamaStops = map[string][]string{
	"llama2": {"[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"},
	"zephyr": {"<|system|>", "<|user|>", "<|assistant|>"},
	"chatml": {"<|im_start|>", "<|im_end|>"},
}

// writeModelfile writes an Ollama Modelfile beside a GGUF file: "Modelfile", or
// NAME.Modelfile where that belongs to another model.
func writeModelfile(m *Model, gguf string, r *Report) error {
	from := "FROM ./" + filepath.Base(gguf) + "\n"
	path := filepath.Join(filepath.Dir(gguf), "Modelfile")
	if old, err := os.ReadFile(path); err == nil && !strings.HasPrefix(string(old), from) {
		path = strings.TrimSuffix(gguf, filepath.Ext(gguf)) + ".Modelfile"
		r.note("Modelfile belongs to another model: %s is written", path)
	}
	var b strings.Builder
	b.WriteString(from)
	var stops []string
	if t, err := chat.Match(m.Template); m.Template != "" && err == nil {
		name, variant, _ := strings.Cut(t.Name(), "-")
		if variant != "" {
			r.note("the template gives dialogs without a system message one of its own, which the Modelfile does not: add it there with SYSTEM")
		}
		fmt.Fprintf(&b, "TEMPLATE \"\"\"%s\"\"\"\n", ollamaTemplates[name])
		stops = slices.Clone(ollamaStops[name])
	}
	for _, id := range m.StopIDs {
		if m.Tokenizer != nil && int(id) < m.Tokenizer.VocabSize() {
			stops = append(stops, m.Tokenizer.Piece(id).Text)
		}
	}
	for i, s := range stops {
		if !slices.Contains(stops[:i], s) {
			fmt.Fprintf(&b, "PARAMETER stop %q\n", s)
		}
	}
	fmt.Fprintf(&b, "PARAMETER num_ctx %d\n", m.Config.MaxSeqLen)
	if err := atomicfile.WriteFile(path, []byte(b.String())); err != nil {
		return err
	}
	r.Files = append(r.Files, path)
	return nil
}
