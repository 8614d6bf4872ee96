package cli

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/bench"
	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/engine"
	"github.com/cria-llm/cria/internal/format/safetensors"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/quant"
	"github.com/cria-llm/cria/internal/tensor"
	"github.com/cria-llm/cria/internal/tokenizer"
)

// The tests of this file compare with llama.cpp. They need
//
//	CRIA_LLAMA_CPP          the directory of its programs (llama-cli, llama-quantize, llama-perplexity)
//	CRIA_LLAMA_CPP_CONVERT  how to run its converter, for example "python3 convert_hf_to_gguf.py"
//
// and take some minutes. CRIA_PEER_TYPES, names of types with commas between
// them, picks some.

// peerTypes are the types of Llama 2 files that are published, by the names of
// llama.cpp's quantiser, with the difference of the mean negative log-likelihood
// per token and the gap of logits in standard deviations that are allowed.
//
// A gap is looked at where greedy texts part: llama.cpp rounds activations to the
// file's type, and one flipped 8-bit rounding moves a logit by per cents of the
// deviation. It rounds them to bf16 in BF16 files and their block sums to f16 for
// Q4_1 and Q5_1, Cria does not.
var peerTypes = []struct {
	name     string
	nll, gap float64
}{
	{"f32", 1e-5, 0.001}, {"f16", 1e-3, 0.01}, {"bf16", 1e-2, 0.1}, {"q8_0", 1e-3, 0.1},
	{"q4_0", 1e-3, 0.1}, {"q4_1", 3e-3, 0.1}, {"q5_0", 1e-3, 0.1}, {"q5_1", 3e-3, 0.1},
	{"q2_k", 1e-3, 0.1}, {"q3_k_s", 1e-3, 0.1}, {"q3_k_m", 1e-3, 0.1}, {"q3_k_l", 1e-3, 0.1},
	{"q4_k_s", 1e-3, 0.1}, {"q4_k_m", 1e-3, 0.1}, {"q5_k_s", 1e-3, 0.1}, {"q5_k_m", 1e-3, 0.1}, {"q6_k", 1e-3, 0.1},
	{"iq4_nl", 1e-3, 0.1}, {"iq4_xs", 1e-3, 0.1},
}

const (
	peerGreedy = 200 // tokens
	peerPrompt = "Once upon a time"
	peerWindow = 512
)

// peerShape is a model whose rows fit all blocks, with grouped heads and the
// vocabulary of tokenizerFile.
var peerShape = llama.Config{Dim: 256, NLayers: 4, NHeads: 8, NKVHeads: 2, HeadDim: 32, HiddenDim: 768, VocabSize: 600,
	MaxSeqLen: 1024, NormEps: 1e-5, RopeTheta: 10000}

func TestLlamaCPP(t *testing.T) {
	bin := os.Getenv("CRIA_LLAMA_CPP")
	if bin == "" {
		t.Skip("CRIA_LLAMA_CPP is not set")
	}
	p := &peer{bin: bin, convert: strings.Fields(os.Getenv("CRIA_LLAMA_CPP_CONVERT")), dir: t.TempDir()}

	stories := filepath.Join(p.dir, "stories")
	p.cria(t, "convert", peerData(t, "weights/stories260K/stories260K.bin"), stories, "--tokenizer", peerData(t, "weights/stories260K/tok512.bin"))
	p.text = peerExcerpt(t, "text/tinystories/v1_valid_head.txt", 16<<10)
	t.Run("stories260K", func(t *testing.T) { p.all(t, stories, 2) })

	wide := filepath.Join(p.dir, "wide")
	writePeerModel(t, wide, nil)
	p.text = peerExcerpt(t, "text/wikitext-2/valid.txt", 12<<10)
	t.Run("wide", func(t *testing.T) { p.all(t, wide, len(peerTypes)) })

	linear := filepath.Join(p.dir, "linear")
	writePeerModel(t, linear, map[string]any{"type": "linear", "rope_type": "linear", "factor": 2.5})
	t.Run("linear", func(t *testing.T) { p.all(t, linear, 1) })
}

// peer runs llama.cpp's programs on models in a directory.
type peer struct {
	bin     string
	convert []string
	dir     string
	text    string // a file's path
}

// all checks a model in the first n types, written by both sides.
func (p *peer) all(t *testing.T, hf string, n int) {
	ours := filepath.Join(p.dir, "ours-f32.gguf")
	p.cria(t, "convert", hf, ours, "--type", "f32", "--overwrite")
	theirs := ""
	if len(p.convert) > 0 {
		theirs = filepath.Join(p.dir, "theirs-f32.gguf")
		p.runConvert(t, hf, theirs, "f32")
	}
	only := os.Getenv("CRIA_PEER_TYPES")
	for _, typ := range peerTypes[:n] {
		if only != "" && !strings.Contains(","+only+",", ","+typ.name+",") {
			continue
		}
		t.Run(typ.name, func(t *testing.T) {
			a := ours
			if typ.name != "f32" {
				a = filepath.Join(p.dir, "ours-"+typ.name+".gguf")
				p.cria(t, "quantize", hf, a, typ.name, "--overwrite")
			}
			p.compare(t, a, typ.nll, typ.gap)
			if theirs == "" {
				return
			}
			b := theirs
			switch typ.name {
			case "f32":
			case "f16", "bf16", "q8_0": // what their converter writes by itself
				b = filepath.Join(p.dir, "theirs-"+typ.name+".gguf")
				p.runConvert(t, hf, b, typ.name)
			default:
				b = filepath.Join(p.dir, "theirs-"+typ.name+".gguf")
				p.run(t, filepath.Join(p.bin, "llama-quantize"), theirs, b, strings.ToUpper(typ.name))
			}
			p.compare(t, b, typ.nll, typ.gap)
			sameTensors(t, ours, a, b)
		})
	}
}

// sameTensors checks that two files keep each tensor in the same type: legacy and
// float types in the same bytes, the others with no larger error than llama.cpp's.
func sameTensors(t *testing.T, source, ours, theirs string) {
	t.Helper()
	var files [3]*modelfile.Model
	for i, path := range []string{source, ours, theirs} {
		m, err := modelfile.Open(path, modelfile.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		files[i] = m
	}
	for _, info := range files[1].Tensors() {
		want, _ := readTensor(t, files[0], info.Name)
		a, typ := readTensor(t, files[1], info.Name)
		b, other := readTensor(t, files[2], info.Name)
		if typ != other {
			t.Errorf("%s is %s in our file, %s in llama.cpp's", info.Name, typ, other)
			continue
		}
		if bytes.Equal(a, b) {
			continue
		}
		if typ.BlockElems() < 256 && typ != tensor.IQ4_NL {
			t.Errorf("%s: %s has other bytes than llama.cpp's", info.Name, typ)
		}
		x := floats(tensor.F32, want)
		if ea, eb := rmse(floats(typ, a), x), rmse(floats(typ, b), x); !(ea <= eb) {
			t.Errorf("%s: our %s has an error of %.6g, llama.cpp's %.6g", info.Name, typ, ea, eb)
		}
	}
}

func readTensor(t *testing.T, m *modelfile.Model, name string) ([]byte, tensor.DType) {
	t.Helper()
	src, err := m.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	rows, cols := src.Shape()
	b := make([]byte, rows*src.DType().RowBytes(cols))
	if err := src.ReadRows(b, 0, rows); err != nil {
		t.Fatal(err)
	}
	return b, src.DType()
}

func floats(dt tensor.DType, b []byte) []float32 {
	x := make([]float32, len(b)/dt.BlockBytes()*dt.BlockElems())
	quant.Dequantize(dt, x, b)
	return x
}

// rmse is the root mean square of the differences.
func rmse(got, want []float32) float64 {
	var sum float64
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		sum += d * d
	}
	return math.Sqrt(sum / float64(len(want)))
}

// compare runs one file in both programs: greedy text and perplexity.
func (p *peer) compare(t *testing.T, file string, nll, gap float64) {
	t.Helper()
	l := loadPeerFile(t, file)
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	name := filepath.Base(file)
	theirs := p.greedy(t, file)
	if at, got, ratio := l.follow(t, theirs); at < len(theirs) {
		t.Logf("%s: token %d of %d is %d, llama.cpp takes %d; the gap of the best two logits is %.5f deviations", name, at, len(theirs), got, theirs[at], ratio)
		if !(ratio < gap) {
			t.Errorf("%s: token %d differs although the logits' gap is %.5f deviations, %v is allowed", name, at, ratio, gap)
		}
	} else {
		t.Logf("%s: %d tokens are equal", name, len(theirs))
	}
	ours, want := l.perplexity(t, p.text), p.perplexity(t, file)
	t.Logf("%s: mean negative log-likelihood %.6f, llama.cpp's %.6f, difference %.2e", name, ours, want, ours-want)
	if !(math.Abs(ours-want) < nll) {
		t.Errorf("%s: the likelihoods differ by %.2e, %v is allowed", name, ours-want, nll)
	}
}

var evalLine = regexp.MustCompile(`(?m)^eval: \[ '.*':(\d+) \]\s*$`)

// greedy returns the ids that llama.cpp generates.
func (p *peer) greedy(t *testing.T, file string) []int32 {
	t.Helper()
	// The last token is never evaluated, so one more is asked for. The ids stand
	// in the log.
	_, out := p.run(t, filepath.Join(p.bin, "llama-cli"), "-m", file, "-p", peerPrompt, "-n", strconv.Itoa(peerGreedy+1), "-c", "512",
		"--temp", "0", "--ignore-eos", "-no-cnv", "-t", "1", "-ctk", "f32", "-ctv", "f32", "-v", "--no-warmup")
	var ids []int32
	for i, m := range evalLine.FindAllStringSubmatch(out, -1) {
		if i == 0 {
			continue // the prompt
		}
		id, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, int32(id))
	}
	if len(ids) != peerGreedy {
		t.Fatalf("%s: llama.cpp's log has %d tokens, %d were asked for:\n%s", file, len(ids), peerGreedy, tail(out))
	}
	return ids
}

// perplexity returns llama.cpp's mean negative log-likelihood per token: the
// third column of its last line.
func (p *peer) perplexity(t *testing.T, file string) float64 {
	t.Helper()
	out, _ := p.run(t, filepath.Join(p.bin, "llama-perplexity"), "-m", file, "-f", p.text, "-c", strconv.Itoa(peerWindow),
		"-ctk", "f32", "-ctv", "f32", "-t", "1", "--ppl-output-type", "1")
	lines := regexp.MustCompile(`(?m)^ *\d+ +[\d.]+ +([\d.]+) +[\d.]+ *$`).FindAllStringSubmatch(out, -1)
	if len(lines) == 0 {
		t.Fatalf("llama-perplexity printed no likelihood:\n%s", tail(out))
	}
	v, err := strconv.ParseFloat(lines[len(lines)-1][1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (p *peer) runConvert(t *testing.T, hf, out, typ string) {
	t.Helper()
	p.run(t, p.convert[0], append(p.convert[1:len(p.convert):len(p.convert)], hf, "--outfile", out, "--outtype", typ)...)
}

// run runs a program and returns what it prints.
func (p *peer) run(t *testing.T, name string, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, log strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, tail(log.String()))
	}
	return out.String(), log.String()
}

// cria runs a command in this process.
func (p *peer) cria(t *testing.T, args ...string) {
	t.Helper()
	if code, _, stderr := call("", args...); code != exitOK {
		t.Fatalf("cria %s: exit code %d\n%s", strings.Join(args, " "), code, stderr)
	}
}

func tail(s string) string { return s[max(0, len(s)-3000):] }

// peerFile is a model of ours, loaded.
type peerFile struct{ *engine.Model }

func loadPeerFile(t *testing.T, path string) *peerFile {
	t.Helper()
	file, err := modelfile.Open(path, modelfile.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := engine.Load(t.Context(), file, engine.Options{Context: peerWindow, Cache: tensor.F32, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	return &peerFile{l}
}

// follow generates greedily until a token differs from ids. It returns where, the
// token, and the gap between the best two logits there in standard deviations.
func (l *peerFile) follow(t *testing.T, ids []int32) (at int, got int32, ratio float64) {
	t.Helper()
	kv, err := l.Net.NewKV(peerWindow/device.PageTokens, tensor.F32)
	if err != nil {
		t.Fatal(err)
	}
	defer kv.Close()
	var pages []int32
	for i := range peerWindow / device.PageTokens {
		pages = append(pages, int32(i))
	}
	next := l.File.Tokenizer.Encode(peerPrompt, tokenizer.EncodeOptions{BOS: true})
	eos, _ := l.File.Tokenizer.EOS()
	logits := make([]float32, l.Net.Config.VocabSize)
	pos := 0
	for at, want := range ids {
		b := &llama.Batch{Tokens: next, Spans: []device.Span{{N: len(next), Pos: pos, Pages: pages}}, Outputs: []int32{int32(len(next) - 1)}}
		if err := l.Net.Forward(b, kv, logits); err != nil {
			t.Fatal(err)
		}
		pos += len(next)
		got, ratio = best(logits, eos)
		if got != want {
			return at, got, ratio
		}
		next = []int32{got}
	}
	return len(ids), 0, 0
}

// best returns the most likely id but one, and by how many standard deviations
// of the logits it leads.
func best(logits []float32, not int32) (id int32, lead float64) {
	first, second := math.Inf(-1), math.Inf(-1)
	var sum, squares float64
	for i, x := range logits {
		v := float64(x)
		sum += v
		squares += v * v
		switch {
		case int32(i) == not:
		case v > first:
			first, second, id = v, first, int32(i)
		case v > second:
			second = v
		}
	}
	n := float64(len(logits))
	return id, (first - second) / math.Sqrt(squares/n-sum/n*sum/n)
}

func (l *peerFile) perplexity(t *testing.T, file string) float64 {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ids := l.File.Tokenizer.Encode(string(text), tokenizer.EncodeOptions{BOS: true})
	res, err := bench.MeasurePerplexity(context.Background(), l.Net, ids, 1, peerWindow, tensor.F32, nil)
	if err != nil {
		t.Fatal(err)
	}
	return res.NLL
}

// peerData returns the path of a file of the shared data, or skips the test.
func peerData(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("CRIA_TEST_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(root, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("needs shared data: %v", err)
	}
	return path
}

// peerExcerpt writes the first n bytes of a text to a file.
func peerExcerpt(t *testing.T, name string, n int) string {
	t.Helper()
	b, err := os.ReadFile(peerData(t, name))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(path, []byte(strings.ToValidUTF8(string(b[:n]), "")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// writePeerModel writes a Hugging Face directory of peerShape. Its weights are
// random but larger than a fresh model's, so that attention is not flat and wrong
// logits show in the likelihoods.
func writePeerModel(t *testing.T, dir string, scaling map[string]any) {
	t.Helper()
	c := peerShape
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(map[string]any{
		"architectures": []string{"LlamaForCausalLM"}, "model_type": "llama", "hidden_act": "silu",
		"hidden_size": c.Dim, "intermediate_size": c.HiddenDim, "num_hidden_layers": c.NLayers,
		"num_attention_heads": c.NHeads, "num_key_value_heads": c.NKVHeads, "vocab_size": c.VocabSize,
		"max_position_embeddings": c.MaxSeqLen, "rms_norm_eps": c.NormEps, "rope_theta": c.RopeTheta, "rope_scaling": scaling,
		"tie_word_embeddings": false, "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float32",
	})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := os.ReadFile(tokenizerFile)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"config.json": config, "tokenizer.model": tok} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	var infos []safetensors.TensorInfo
	gain := map[string]float64{}
	add := func(name string, g float64, dims ...int) {
		infos = append(infos, safetensors.TensorInfo{Name: name, Type: tensor.F32, Dims: dims})
		gain[name] = g
	}
	q, kv := c.NHeads*c.HeadDim, c.NKVHeads*c.HeadDim
	add("model.embed_tokens.weight", 16, c.VocabSize, c.Dim)
	for i := range c.NLayers {
		p := fmt.Sprintf("model.layers.%d.", i)
		add(p+"input_layernorm.weight", 0, c.Dim)
		add(p+"self_attn.q_proj.weight", 1.4, q, c.Dim)
		add(p+"self_attn.k_proj.weight", 1.4, kv, c.Dim)
		add(p+"self_attn.v_proj.weight", 1, kv, c.Dim)
		add(p+"self_attn.o_proj.weight", 1, c.Dim, q)
		add(p+"post_attention_layernorm.weight", 0, c.Dim)
		add(p+"mlp.gate_proj.weight", 1.5, c.HiddenDim, c.Dim)
		add(p+"mlp.up_proj.weight", 1, c.HiddenDim, c.Dim)
		add(p+"mlp.down_proj.weight", 1.5, c.Dim, c.HiddenDim)
	}
	add("model.norm.weight", 0, c.Dim)
	add("lm_head.weight", 1, c.VocabSize, c.Dim)

	w, err := safetensors.Create(filepath.Join(dir, "model.safetensors"), map[string]string{"format": "pt"}, infos)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 7))
	for _, info := range infos {
		n, cols := 1, info.Dims[len(info.Dims)-1]
		for _, d := range info.Dims {
			n *= d
		}
		b := make([]byte, 4*n)
		for i := range n {
			v := 1 + 0.2*rng.NormFloat64()
			if g := gain[info.Name]; g != 0 {
				v = rng.NormFloat64() * g / math.Sqrt(float64(cols))
			}
			binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(float32(v)))
		}
		if err := w.WriteTensor(info.Name, b); err != nil {
			w.Abort()
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
