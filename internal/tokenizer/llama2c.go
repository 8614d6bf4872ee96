package tokenizer

import "strings"

// FromLlama2C makes a tokenizer of the entries of llama2.c's tokenizer.bin. There
// a space is a real space, ids 0 to 2 are the unknown token, BOS and EOS, and the
// byte pieces are ids 3 to 258.
func FromLlama2C(texts []string, scores []float32) (*Tokenizer, error) {
	if len(texts) != len(scores) {
		return nil, malformed("tokenizer.bin: %d pieces and %d scores", len(texts), len(scores))
	}
	const firstByte, firstNormal = 3, 3 + 256
	if len(texts) < firstNormal {
		return nil, malformed("tokenizer.bin: %d pieces: at least %d are needed (unknown, BOS, EOS, 256 bytes)", len(texts), firstNormal)
	}
	if len(texts) > maxPieces {
		return nil, malformed("tokenizer.bin: %d pieces: at most %d are allowed", len(texts), maxPieces)
	}
	pieces := make([]Piece, len(texts))
	for i, text := range texts {
		p := Piece{Text: strings.ReplaceAll(text, " ", space), Score: scores[i], Kind: Normal}
		switch {
		case i < firstByte:
			// llama2.c's exporter writes "\n<s>\n" for BOS and EOS.
			p.Text = strings.TrimSpace(text)
			p.Kind = [firstByte]Kind{Unknown, Control, Control}[i]
			if want := [firstByte]string{"<unk>", "<s>", "</s>"}[i]; p.Text != want {
				return nil, unsupported("tokenizer.bin: piece %d is %q: %q is expected there", i, text, want)
			}
		case i < firstNormal:
			p.Kind = Byte
			if want := bytePiece(byte(i - firstByte)); text != want {
				return nil, unsupported("tokenizer.bin: piece %d is %q: %q is expected there", i, text, want)
			}
		}
		pieces[i] = p
	}
	return build(pieces, settings{
		dummyPrefix: true, prefixEach: true, byteFallback: true, unkSurface: defaultUnkSurface,
		addBOS: true, bos: someID(1), eos: someID(2),
	})
}
