package modelfile

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/llama"
)

// hfKeys are config.json's names; what is checked where is in parseHFConfig.
var hfKeys = keyTable{
	"Dim": "hidden_size", "NLayers": "num_hidden_layers", "NHeads": "num_attention_heads", "NKVHeads": "num_key_value_heads",
	"HeadDim": "head_dim", "HiddenDim": "intermediate_size", "VocabSize": "vocab_size", "MaxSeqLen": "max_position_embeddings",
	"NormEps": "rms_norm_eps", "RopeTheta": "rope_theta", "RopeScale.Factor": "rope_scaling.factor", "RopeScale.Kind": "rope_scaling.type",
}

// ReadHFConfig reads the shape out of a Hugging Face config.json, or that of a
// directory.
func ReadHFConfig(path string) (llama.Config, error) {
	if filepath.Base(path) != "config.json" {
		if found := filepath.Join(path, "config.json"); exists(found) {
			path = found
		}
	}
	o, err := needObject(path)
	if err != nil {
		return llama.Config{}, err
	}
	return parseHFConfig(o)
}

// parseHFConfig reads a config.json as transformers 4 and 5 write it. What an
// absent key means is what LlamaConfig makes of it; keys without which there is
// no shape must be there.
func parseHFConfig(o *jsonObject) (llama.Config, error) {
	var c llama.Config
	if err := checkArchitecture(o); err != nil {
		return c, err
	}
	if err := refuseFeatures(o); err != nil {
		return c, err
	}
	for _, f := range []struct {
		key string
		to  *int
	}{
		{"hidden_size", &c.Dim}, {"num_hidden_layers", &c.NLayers}, {"num_attention_heads", &c.NHeads},
		{"intermediate_size", &c.HiddenDim}, {"vocab_size", &c.VocabSize}, {"max_position_embeddings", &c.MaxSeqLen},
	} {
		var err error
		if *f.to, err = o.need(f.key); err != nil {
			return c, err
		}
	}
	eps, err := o.needFloat("rms_norm_eps")
	if err != nil {
		return c, err
	}
	c.NormEps = float32(eps)
	if c.NKVHeads, err = o.integerOr("num_key_value_heads", c.NHeads); err != nil {
		return c, err
	}
	var ok bool
	if c.HeadDim, ok, err = o.integer("head_dim"); err != nil {
		return c, err
	} else if !ok {
		if c.HeadDim, err = headDim(o.file, dialectHF, hfKeys, &c); err != nil {
			return c, err
		}
	}
	if c.TiedEmbeddings, _, err = o.boolean("tie_word_embeddings"); err != nil {
		return c, err
	}
	if err := parseRope(o, &c); err != nil {
		return c, err
	}
	return c, configError(c.Validate(), o.file, dialectHF, hfKeys)
}

// headDim is the head dimension of files that do not name it.
func headDim(file string, d dialect, keys keyTable, c *llama.Config) (int, error) {
	switch {
	case c.NHeads < 1:
		return 0, configError(&llama.FieldError{Field: "NHeads", Value: c.NHeads, Problem: "at least 1 is needed"}, file, d, keys)
	case c.Dim%c.NHeads != 0:
		return 0, configError(&llama.FieldError{Field: "NHeads", Value: c.NHeads, Problem: "it must divide " + keys["Dim"]}, file, d, keys)
	}
	return c.Dim / c.NHeads, nil
}

// checkArchitecture refuses what is not a LlamaForCausalLM.
func checkArchitecture(o *jsonObject) error {
	typ, ok, err := o.str("model_type")
	if err != nil {
		return err
	}
	if ok && typ != "llama" {
		return o.unsupported("model_type", "only the llama architecture is known")
	}
	archs, hasArchs, err := decode[[]string](o, "architectures", "a list of strings")
	if err != nil {
		return err
	}
	if hasArchs && !slices.Equal(archs, []string{"LlamaForCausalLM"}) {
		return o.unsupported("architectures", "only LlamaForCausalLM is known")
	}
	if !ok && !hasArchs {
		return ferr.New(ferr.Malformed, o.file, "model_type", nil, "the key is missing, and so is architectures").
			WithHint("a model's config.json says \"model_type\": \"llama\"")
	}
	return nil
}

// refuseFeatures refuses by name what LlamaForCausalLM can be told to do and no
// Llama 1 or 2 does.
func refuseFeatures(o *jsonObject) error {
	if act, ok, err := o.str("hidden_act"); err != nil {
		return err
	} else if ok && act != "silu" {
		return o.unsupported("hidden_act", "only silu is known")
	}
	for _, key := range []string{"attention_bias", "mlp_bias"} {
		if on, _, err := o.boolean(key); err != nil {
			return err
		} else if on {
			return o.unsupported(key, "projections with biases are not supported")
		}
	}
	if err := refusePartialRotary(o); err != nil {
		return err
	}
	for _, f := range []struct{ key, what string }{
		{"quantization_config", "weights that another library quantised are not supported"},
		{"sliding_window", "attention within a window is not supported"},
		{"num_local_experts", "mixtures of experts are not supported"},
		{"num_experts", "mixtures of experts are not supported"},
	} {
		if o.has(f.key) {
			return o.unsupported(f.key, "%s", f.what)
		}
	}
	return nil
}

// refusePartialRotary refuses heads that are rotated in part.
func refusePartialRotary(o *jsonObject) error {
	part, ok, err := o.float("partial_rotary_factor")
	if err == nil && ok && part != 1 {
		return o.unsupported("partial_rotary_factor", "heads that are rotated in part are not supported")
	}
	return err
}

// parseRope reads rotary positions: rope_theta and rope_scaling as transformers 4
// has them, or rope_parameters, version 5's name for both together.
func parseRope(o *jsonObject, c *llama.Config) error {
	theta, hasTheta, err := o.float("rope_theta")
	if err != nil {
		return err
	}
	c.RopeTheta = 10000 // LlamaConfig's default; older files do not name it
	if hasTheta {
		c.RopeTheta = theta
	}
	scaling, hasScaling, err := o.object("rope_scaling")
	if err != nil {
		return err
	}
	params, hasParams, err := o.object("rope_parameters")
	if err != nil {
		return err
	}
	if hasScaling {
		if err := parseRopeObject(scaling, c, hasTheta); err != nil {
			return err
		}
		hasTheta = hasTheta || scaling.has("rope_theta")
	}
	if !hasParams {
		return nil
	}
	other := *c
	other.RopeScale = llama.RopeScaling{}
	if err := parseRopeObject(params, &other, hasTheta); err != nil {
		return err
	}
	if hasScaling && other.RopeScale != c.RopeScale {
		return o.malformed("rope_scaling", "rope_parameters says something else")
	}
	*c = other
	return nil
}

// parseRopeObject reads rope_scaling or rope_parameters.
func parseRopeObject(o *jsonObject, c *llama.Config, hasTheta bool) error {
	theta, ok, err := o.float("rope_theta")
	if err != nil {
		return err
	}
	if ok {
		if hasTheta && theta != c.RopeTheta {
			return o.malformed("rope_theta", "another rope_theta is %g", c.RopeTheta)
		}
		c.RopeTheta = theta
	}
	kind, err := ropeType(o)
	if err != nil {
		return err
	}
	known := []string{"type", "rope_type", "rope_theta", "partial_rotary_factor"}
	switch kind {
	case "default":
	case "linear", "dynamic":
		known = append(known, "factor", "original_max_position_embeddings")
		factor, ok, err := o.float("factor")
		if err != nil {
			return err
		}
		if !ok {
			return o.malformed("factor", "%s scaling needs one, and the key is missing", kind)
		}
		c.RopeScale = llama.RopeScaling{Kind: llama.RopeScalingKind(kind), Factor: factor}
	default:
		return o.unsupported("type", "rotary scaling of type %s; linear and dynamic are known", ferr.Quote(kind))
	}
	if err := refusePartialRotary(o); err != nil {
		return err
	}
	if n, ok, err := o.integer("original_max_position_embeddings"); err != nil {
		return err
	} else if ok && n != c.MaxSeqLen {
		return o.unsupported("original_max_position_embeddings", "only max_position_embeddings, %d, is known here", c.MaxSeqLen)
	}
	for key := range o.fields {
		if o.has(key) && !slices.Contains(known, key) {
			return o.unsupported(key, "%s scaling with it is not known", kind)
		}
	}
	return nil
}

// ropeType returns the type under its new or its old name.
func ropeType(o *jsonObject) (string, error) {
	kind, ok, err := o.str("rope_type")
	if err != nil {
		return "", err
	}
	old, hasOld, err := o.str("type")
	switch {
	case err != nil:
		return "", err
	case ok && hasOld && kind != old:
		return "", o.malformed("type", "rope_type is %s", ferr.Quote(kind))
	case ok:
		return kind, nil
	case hasOld:
		return old, nil
	case len(o.fields) == 0 || o.has("rope_theta") && !o.has("factor"):
		return "default", nil
	}
	return "", o.malformed("type", "the key is missing")
}

// hfDir is where a Hugging Face model lies and what of it holds the weights.
func hfDir(path string) (dir, weights string, err error) {
	dir = path
	base := filepath.Base(path)
	if base == "config.json" || strings.HasSuffix(base, ".safetensors") || strings.HasSuffix(base, ".index.json") {
		dir = filepath.Dir(path)
	}
	// One file of a set stands for the set; another single file is meant as it is.
	if strings.HasSuffix(base, ".index.json") || strings.HasSuffix(base, ".safetensors") && !shardName.MatchString(base) {
		return dir, path, nil
	}
	for _, name := range []string{"model.safetensors", "model.safetensors.index.json"} {
		if weights = filepath.Join(dir, name); exists(weights) {
			return dir, weights, nil
		}
	}
	if torch := append(files(dir, "pytorch_model*.bin"), files(dir, "*.pth")...); torch != nil {
		return "", "", errTorchBin(torch[0])
	}
	return "", "", ferr.New(ferr.Malformed, dir, "", nil, "there is neither model.safetensors nor model.safetensors.index.json").
		WithHint("get the weights too")
}
