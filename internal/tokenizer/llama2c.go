package tokenizer

import (
	"encoding/binary"
	"math"
	"strings"
)

// ParseLlama2C reads llama2.c's tokenizer.bin: the length of the longest piece
// (uint32), then score (float32), length (uint32) and text of each piece.
func ParseLlama2C(data []byte) (*Tokenizer, error) {
	if len(data) < 4 {
		return nil, malformed("tokenizer.bin has %d bytes: at least 4 are needed", len(data))
	}
	if len(data) > maxModelBytes {
		return nil, malformed("tokenizer.bin has %d bytes: at most %d are allowed", len(data), maxModelBytes)
	}
	longest := binary.LittleEndian.Uint32(data)
	if longest == 0 || longest > maxPieceBytes {
		return nil, malformed("tokenizer.bin: max_token_length is %d: 1 to %d are allowed", longest, maxPieceBytes)
	}
	var texts []string
	var scores []float32
	for at := 4; at < len(data); {
		if len(data)-at < 8 {
			return nil, malformed("tokenizer.bin: piece %d is cut off", len(texts))
		}
		size := binary.LittleEndian.Uint32(data[at+4:])
		if size > longest || int(size) > len(data)-at-8 {
			return nil, malformed("tokenizer.bin: piece %d has length %d: the longest is said to have %d, and %d bytes are left", len(texts), size, longest, len(data)-at-8)
		}
		if len(texts) == maxPieces {
			return nil, malformed("tokenizer.bin has more than %d pieces", maxPieces)
		}
		scores = append(scores, math.Float32frombits(binary.LittleEndian.Uint32(data[at:])))
		texts = append(texts, string(data[at+8:at+8+int(size)]))
		at += 8 + int(size)
	}
	return FromLlama2C(texts, scores)
}

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
