package cli

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/cria-llm/cria/internal/generate"
)

// samplingFlags binds the flags that say how tokens are chosen to p. They are
// also what /set changes in a chat.
func samplingFlags(fs *pflag.FlagSet, p *generate.Params) {
	d := generate.DefaultParams()
	fs.IntVarP(&p.MaxTokens, "tokens", "n", d.MaxTokens, "most tokens to generate; 0: until the model ends or the context is full")
	fs.Float32Var(&p.Temperature, "temp", d.Temperature, "temperature; 0: always the most probable token")
	fs.IntVar(&p.TopK, "top-k", d.TopK, "choose among the K most probable tokens; 0: all")
	fs.Float32Var(&p.TopP, "top-p", d.TopP, "choose among the fewest tokens with this probability together; 1: all")
	fs.Float32Var(&p.MinP, "min-p", d.MinP, "leave out tokens below this share of the most probable one's probability; 0: none")
	fs.Float32Var(&p.Typical, "typical", d.Typical, "locally typical sampling with this probability; 1: off")
	fs.Float32Var(&p.RepeatPenalty, "repeat-penalty", d.RepeatPenalty, "divide the logits of recent tokens by this; 1: off")
	fs.IntVar(&p.RepeatLastN, "repeat-last-n", d.RepeatLastN, "how many recent tokens the penalties see; -1: all")
	fs.Float32Var(&p.PresencePenalty, "presence-penalty", d.PresencePenalty, "subtract this from the logits of recent tokens")
	fs.Float32Var(&p.FrequencyPenalty, "frequency-penalty", d.FrequencyPenalty, "subtract this per recent occurrence")
	fs.Var((*biasFlag)(&p.LogitBias), "logit-bias", "add VALUE to a token's logit, -inf forbids it; may be repeated")
	fs.Uint64Var(&p.Seed, "seed", 0, "seed of the random choices: same seed, same text (default: a new one each time)")
	fs.StringArrayVar(&p.Stop, "stop", nil, "end the answer before this text; may be repeated")
	fs.IntVar(&p.LogProbs, "logprobs", d.LogProbs, "report log-probabilities and this many alternatives per token (with --json); -1: none")
}

// newSeed is a seed for those who do not give one.
func newSeed() uint64 {
	var b [8]byte
	rand.Read(b[:])                               // never fails (package crypto/rand)
	return binary.LittleEndian.Uint64(b[:]) >> 11 // 53 bits: exact in any JSON reader
}

// biasFlag parses repeated ID=VALUE flags.
type biasFlag map[int32]float32

func (f *biasFlag) Set(s string) error {
	id, value, ok := strings.Cut(s, "=")
	if !ok {
		return fmt.Errorf("want ID=VALUE, for example 13=-inf")
	}
	n, err := strconv.ParseInt(strings.TrimSpace(id), 10, 32)
	if err != nil || n < 0 {
		return fmt.Errorf("token id %q is no whole number from 0 on", id)
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(value), 32)
	if err != nil || math.IsNaN(v) {
		return fmt.Errorf("%q is no number", value)
	}
	if *f == nil {
		*f = biasFlag{}
	}
	(*f)[int32(n)] = float32(v)
	return nil
}

func (f *biasFlag) Type() string { return "ID=VALUE" }

func (f *biasFlag) String() string {
	var s []string
	for id, v := range *f {
		s = append(s, fmt.Sprintf("%d=%g", id, v))
	}
	slices.Sort(s)
	return strings.Join(s, ",")
}
