package tokenizer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cria-llm/cria/internal/sys/par"
)

// TrainConfig says what vocabulary to train. The fields are SentencePiece's
// options of the same names; DefaultTrainConfig has what Llama 2's tokenizer was
// trained with.
type TrainConfig struct {
	VocabSize         int
	CharacterCoverage float64 // share of the text whose characters become pieces, 0.98 to 1
	RequiredChars     string  // characters that become pieces however rare they are
	MaxPieceLength    int     // characters of a piece (max_sentencepiece_length), 1 to 512

	ByteFallback              bool // characters that are no pieces become bytes
	SplitDigits               bool // each digit is a piece of its own
	AllowWhitespaceOnlyPieces bool // runs of spaces can become pieces
	AddDummyPrefix            bool // a text begins with a space
	HardVocabLimit            bool // a text that gives fewer pieces is an error

	// ControlSymbols have ids that text never becomes, UserDefinedSymbols are
	// always one id wherever they stand in text. "▁" (U+2581) is a space in them.
	ControlSymbols     []string
	UserDefinedSymbols []string

	// Memory is how many bytes training may take, about. Where the different words
	// of the text need more, they are counted on disk, and where merging needs
	// more, the rarest are left out, which TrainReport tells.
	Memory  int64
	TempDir string // for what does not fit into memory; "" is the system's place
	Workers int    // cores to use; 0 is all that this process may. The result is the same.

	// Progress, if not nil, hears how much of a stage is done: bytes read, then
	// pieces found. It is called by one goroutine at a time.
	Progress func(stage TrainStage, done, total int64)
}

// TrainStage is a part of the work that has a progress of its own.
type TrainStage string

// The stages of Train.
const (
	StageCount TrainStage = "counting" // in bytes of the sources, as far as their sizes are known
	StageMerge TrainStage = "merging"  // in pieces
)

// DefaultTrainConfig returns Llama 2's settings (arXiv 2307.09288, section 2.2,
// and the trainer_spec in its tokenizer.model) with 2 GB of memory.
func DefaultTrainConfig() TrainConfig {
	return TrainConfig{
		VocabSize: 32000, CharacterCoverage: 0.99995, MaxPieceLength: 16,
		ByteFallback: true, SplitDigits: true, AllowWhitespaceOnlyPieces: true, AddDummyPrefix: true, HardVocabLimit: true,
		Memory: 2e9,
	}
}

// TrainReport is what a training saw.
type TrainReport struct {
	Bytes         int64   `json:"bytes"`         // of text, decompressed
	Words         int64   `json:"words"`         // words and marks, as training cuts them
	UniqueWords   int64   `json:"unique_words"`  // different ones
	DroppedUnique int64   `json:"dropped_words"` // of these, left out because of TrainConfig.Memory
	DroppedShare  float64 `json:"dropped_share"` // of all words
	Spilled       int     `json:"spilled_runs"`  // times that counts went to disk
	Alphabet      int     `json:"alphabet"`      // characters that are pieces
	Coverage      float64 `json:"coverage"`      // share of the text that they make
	Merged        int     `json:"merged_pieces"` // pieces of two characters or more
	VocabSize     int     `json:"vocab_size"`
}

const (
	minTrainMemory = 64 << 20
)

// Check refuses settings that make no vocabulary.
func (c *TrainConfig) Check() error {
	fixed := len(c.symbols())
	switch {
	case c.VocabSize < 1 || c.VocabSize > maxPieces:
		return fmt.Errorf("tokenizer: a vocabulary of %d pieces: 1 to %d are possible", c.VocabSize, maxPieces)
	case c.VocabSize <= fixed:
		return fmt.Errorf("tokenizer: a vocabulary of %d pieces: bytes and symbols alone are %d", c.VocabSize, fixed)
	case !(c.CharacterCoverage >= 0.98 && c.CharacterCoverage <= 1):
		return fmt.Errorf("tokenizer: a character coverage of %v: it must be from 0.98 to 1", c.CharacterCoverage)
	case c.MaxPieceLength < 1 || c.MaxPieceLength > 512:
		return fmt.Errorf("tokenizer: pieces of up to %d characters: 1 to 512 are possible", c.MaxPieceLength)
	case c.Memory < minTrainMemory:
		return fmt.Errorf("tokenizer: %d bytes of memory: training needs %d at least", c.Memory, minTrainMemory)
	case c.Workers < 0:
		return fmt.Errorf("tokenizer: %d workers", c.Workers)
	case !utf8.ValidString(c.RequiredChars) || strings.ContainsAny(c.RequiredChars, "\x00\n"):
		return fmt.Errorf("tokenizer: the required characters %q must be UTF-8 without NUL and ends of lines", c.RequiredChars)
	}
	seen := map[string]bool{}
	for _, p := range c.symbols() {
		switch {
		case p.Text == "":
			return fmt.Errorf("tokenizer: a %v symbol is empty", p.Kind)
		case len(p.Text) > maxPieceBytes:
			return fmt.Errorf("tokenizer: the %v symbol %.40q… has %d bytes: at most %d are allowed", p.Kind, p.Text, len(p.Text), maxPieceBytes)
		case !utf8.ValidString(p.Text) || strings.Contains(p.Text, "\x00"):
			return fmt.Errorf("tokenizer: the %v symbol %q must be UTF-8 without NUL", p.Kind, p.Text)
		case p.Kind == UserDefined && strings.Contains(p.Text, " "):
			return fmt.Errorf("tokenizer: the %v symbol %q: write ▁ (U+2581) for a space, as in pieces", p.Kind, p.Text)
		case seen[p.Text]:
			return fmt.Errorf("tokenizer: the symbol %q is there twice, or is one that every vocabulary has", p.Text)
		}
		seen[p.Text] = true
	}
	return nil
}

// symbols are the pieces that do not come from the text, in the order of their
// ids, which is SentencePiece's.
func (c *TrainConfig) symbols() []Piece {
	p := []Piece{{"<unk>", 0, Unknown}, {"<s>", 0, Control}, {"</s>", 0, Control}}
	for _, s := range c.ControlSymbols {
		p = append(p, Piece{s, 0, Control})
	}
	for _, s := range c.UserDefinedSymbols {
		p = append(p, Piece{s, 0, UserDefined})
	}
	if c.ByteFallback {
		for b := range 256 {
			p = append(p, Piece{bytePiece(byte(b)), 0, Byte})
		}
	}
	return p
}

// Train makes a vocabulary out of texts. The same texts and settings give the same
// bytes ([Tokenizer.Model]), whatever the number of workers and the order of
// sources.
func Train(ctx context.Context, c TrainConfig, sources ...Source) (t *Tokenizer, r *TrainReport, err error) {
	if err := c.Check(); err != nil {
		return nil, nil, err
	}
	if len(sources) == 0 {
		return nil, nil, errors.New("tokenizer: there is no text to train on")
	}
	if c.Workers == 0 {
		c.Workers = par.DefaultWorkers()
	}
	if c.Progress == nil {
		c.Progress = func(TrainStage, int64, int64) {}
	}
	r = &TrainReport{}
	words, err := countWords(ctx, &c, sources, r)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, words.close()) }()
	census, err := takeCensus(ctx, words)
	if err != nil {
		return nil, nil, err
	}
	if census.total == 0 {
		return nil, nil, errors.New("tokenizer: the sources hold no text")
	}
	alphabet := census.alphabet(&c, r)
	symbols := c.symbols()
	free := c.VocabSize - len(symbols) - len(alphabet)
	if free < 0 {
		return nil, nil, fmt.Errorf("tokenizer: a vocabulary of %d pieces is too small: there are %d symbols and bytes and %d characters; ask for %d or more, or lower the character coverage of %v",
			c.VocabSize, len(symbols), len(alphabet), len(symbols)+len(alphabet), c.CharacterCoverage)
	}
	found, err := findPieces(ctx, &c, words, census, alphabet, free, r)
	if err != nil {
		return nil, nil, err
	}
	if len(found) < free && c.HardVocabLimit {
		return nil, nil, fmt.Errorf("tokenizer: the text has pieces for a vocabulary of %d, not of %d: ask for at most that, train on more text, or lift the hard limit",
			c.VocabSize-free+len(found), c.VocabSize)
	}
	pieces := symbols
	for _, s := range found {
		pieces = append(pieces, Piece{s, float32(len(symbols) - len(pieces)), Normal})
	}
	for _, ch := range alphabet {
		pieces = append(pieces, Piece{string(ch), float32(len(symbols) - len(pieces)), Normal})
	}
	r.Merged, r.VocabSize = len(found), len(pieces)
	t, err = Parse(trainedModel(&c, pieces))
	if err != nil {
		return nil, nil, err
	}
	// Text behind a special token has no space of its own: transformers'
	// "legacy": false, as Llama 2's directories have it.
	no := false
	t, err = t.With(Changes{PrefixAfterSpecial: &no})
	return t, r, err
}

// census is what is known of the words before they are merged.
type census struct {
	chars map[rune]int64 // in SentencePiece's spelling
	total int64          // characters
	// Per count of a word, the last entry standing for all larger ones: different
	// words, their places in a merger, and how often they occur together.
	words, places, occur [1 << 16]int64
}

func takeCensus(ctx context.Context, words *wordCounts) (*census, error) {
	c := &census{chars: map[rune]int64{}}
	var ascii [utf8.RuneSelf]int64
	err := words.each(ctx, func(word []byte, count int64) error {
		n := 0
		for i := 0; i < len(word); n++ {
			if b := word[i]; b < utf8.RuneSelf {
				ascii[b] += count
				i++
				continue
			}
			r, size := utf8.DecodeRune(word[i:])
			c.chars[r] += count
			i += size
		}
		k := min(count, int64(len(c.words)-1))
		c.words[k]++
		c.places[k] += int64(n) + 1
		c.occur[k] += count
		return nil
	})
	for b, n := range ascii {
		if n > 0 && b != 0 {
			r, _ := decodeRune(string(rune(b)))
			c.chars[r] += n
		}
	}
	for _, n := range c.chars {
		c.total += n
	}
	return c, err
}

// alphabet chooses the characters that become pieces, the most frequent first.
func (s *census) alphabet(c *TrainConfig, r *TrainReport) []rune {
	required := map[rune]bool{}
	for _, ch := range c.RequiredChars {
		ch, _ = decodeRune(string(ch))
		required[ch] = true
		s.chars[ch] += 0 // it may not occur
	}
	order := slices.SortedFunc(maps.Keys(s.chars), func(a, b rune) int {
		return cmp.Or(cmp.Compare(s.chars[b], s.chars[a]), cmp.Compare(a, b))
	})
	covered := int64(0)
	var out []rune
	for _, ch := range order {
		// SentencePiece compares in single precision.
		enough := float32(float64(covered)/float64(s.total)) >= float32(c.CharacterCoverage)
		if enough && !required[ch] {
			continue
		}
		out = append(out, ch)
		covered += s.chars[ch]
	}
	r.Alphabet, r.Coverage = len(out), float64(covered)/float64(s.total)
	return out
}

// placeBytes is what a merger takes per place: what a place has itself, its part in
// candidates, and what the collector has not taken back yet.
const placeBytes = 48

// keep returns the smallest count of words that there is memory for.
func (s *census) keep(c *TrainConfig, r *TrainReport) (least int64, places, words int64, err error) {
	room := c.Memory / 4 * 3 / placeBytes
	least = int64(len(s.words))
	for least > 1 && places+s.places[least-1] <= room {
		least--
		places += s.places[least]
		words += s.words[least]
	}
	if words == 0 {
		return 0, 0, 0, fmt.Errorf("tokenizer: %d bytes of memory are not enough for the different words of the text", c.Memory)
	}
	occur, dropped := int64(0), int64(0)
	for k := range int64(len(s.words)) {
		r.UniqueWords += s.words[k]
		occur += s.occur[k]
		if k < least {
			r.DroppedUnique += s.words[k]
			dropped += s.occur[k]
		}
	}
	r.Words = occur
	r.DroppedShare = float64(dropped) / float64(occur)
	return least, places, words, nil
}

// findPieces loads the words into a merger and merges.
func findPieces(ctx context.Context, c *TrainConfig, words *wordCounts, s *census, alphabet []rune, n int, r *TrainReport) ([]string, error) {
	least, places, unique, err := s.keep(c, r)
	if err != nil {
		return nil, err
	}
	m, err := newMerger(alphabet, c.MaxPieceLength, places, unique)
	if err != nil {
		return nil, err
	}
	ids := newAlphabetTable(alphabet)
	var word []int32
	err = words.each(ctx, func(text []byte, count int64) error {
		if count < least {
			return nil
		}
		word = word[:0]
		for i := 0; i < len(text); {
			ch, size := decodeRune(string(text[i:min(i+utf8.UTFMax, len(text))]))
			word = append(word, ids.symbol(ch))
			i += size
		}
		m.load(word, count)
		return nil
	})
	if err != nil {
		return nil, err
	}
	words.release()
	m.start()
	err = m.run(ctx, n, func(done int) { c.Progress(StageMerge, int64(done), int64(n)) })
	return m.pieces(), err
}

// newAlphabetTable maps characters to their places in the alphabet.
func newAlphabetTable(alphabet []rune) *mergeTable {
	t := &mergeTable{}
	for i := range t.ascii {
		t.ascii[i] = noSymbol
	}
	for i, ch := range alphabet {
		t.setSymbol(ch, int32(i))
	}
	return t
}
