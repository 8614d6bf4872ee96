package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"github.com/cria-llm/cria/internal/format/extent"
	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/tensor"
)

// TensorInfo announces a tensor to Create or CreateSharded. Type is one of F32
// F16 BF16 F64 I8 I32 I64. Dims are outermost first.
type TensorInfo struct {
	Name string
	Type tensor.DType
	Dims []int
}

// Writer writes one file or a sharded set, tensor by tensor. It is for one
// goroutine.
type Writer struct {
	out *extent.Writer
}

// DefaultShardBytes is the size at which transformers starts a new shard.
const DefaultShardBytes = 5_000_000_000

// headerAlign is what the header is padded to, so that the data begins at a
// multiple of the largest element.
const headerAlign = 8

// pytorch is the metadata without which transformers refuses a file.
var pytorch = map[string]string{"format": "pt"}

// Create starts one file; metadata may be nil.
func Create(path string, metadata map[string]string, tensors []TensorInfo) (*Writer, error) {
	sized, err := measure(tensors)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	file, err := layOut(path, metadata, sized)
	if err != nil {
		return nil, err
	}
	return start(*file)
}

// CreateSharded starts dir/model.safetensors or, if the tensors have more than
// maxShard bytes together, dir/model-0000N-of-0000M.safetensors with
// dir/model.safetensors.index.json. The metadata is {"format":"pt"}, without
// which transformers refuses a file.
func CreateSharded(dir string, maxShard int64, tensors []TensorInfo) (*Writer, error) {
	sized, err := measure(tensors)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	shards := split(sized, maxShard)
	if len(shards) == 1 {
		file, err := layOut(filepath.Join(dir, "model.safetensors"), pytorch, sized)
		if err != nil {
			return nil, err
		}
		return start(*file)
	}
	var files []extent.File
	weightMap := make(map[string]string, len(tensors))
	total := int64(0)
	for i, shard := range shards {
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		file, err := layOut(filepath.Join(dir, name), pytorch, shard)
		if err != nil {
			return nil, err
		}
		files = append(files, *file)
		for _, t := range shard {
			weightMap[t.Name] = name
			total += t.size
		}
	}
	index, err := json.MarshalIndent(struct {
		Metadata  map[string]int64  `json:"metadata"`
		WeightMap map[string]string `json:"weight_map"`
	}{map[string]int64{"total_size": total}, weightMap}, "", "  ")
	if err != nil {
		return nil, err
	}
	index = append(index, '\n')
	files = append(files, extent.File{Path: filepath.Join(dir, "model.safetensors"+indexSuffix), Head: index, Size: int64(len(index))})
	return start(files...)
}

func start(files ...extent.File) (*Writer, error) {
	out, err := extent.Create(files...)
	if err != nil {
		return nil, err
	}
	return &Writer{out}, nil
}

// WriteTensor appends a piece of a tensor's bytes. Tensors may be written in any
// order, and pieces of different tensors may alternate.
func (w *Writer) WriteTensor(name string, piece []byte) error { return w.out.Write(name, piece) }

// Files returns the paths that Close will make.
func (w *Writer) Files() []string { return w.out.Files() }

// Close checks that every tensor is complete, syncs the files and gives them
// their names, the index last.
func (w *Writer) Close() error { return w.out.Close() }

// Abort deletes what was written. After Close it does nothing.
func (w *Writer) Abort() { w.out.Abort() }

type sizedInfo struct {
	TensorInfo
	typeName string
	size     int64
}

// measure checks the tensors and counts their bytes.
func measure(tensors []TensorInfo) ([]sizedInfo, error) {
	if len(tensors) > maxTensors {
		return nil, fmt.Errorf("%d tensors, at most %d are allowed", len(tensors), maxTensors)
	}
	names := make(map[tensor.DType]string)
	for name, d := range dtypes {
		if d.typ != tensor.Invalid {
			names[d.typ] = name
		}
	}
	list := make([]sizedInfo, len(tensors))
	seen := make(map[string]bool, len(tensors))
	total := uint64(0)
	for i, t := range tensors {
		refuse := func(problem string, args ...any) error {
			return fmt.Errorf("tensor %s: %s", ferr.Quote(t.Name), fmt.Sprintf(problem, args...))
		}
		typeName, ok := names[t.Type]
		switch {
		case !ok:
			return nil, refuse("safetensors has no type %s", t.Type)
		case len(t.Dims) > maxDims:
			return nil, refuse("%d dimensions, at most %d are allowed", len(t.Dims), maxDims)
		case seen[t.Name]:
			return nil, refuse("it is announced twice")
		case t.Name == metadataKey:
			return nil, refuse("the name is the format's own")
		}
		if err := checkWritten(t.Name); err != nil {
			return nil, refuse("%v", err)
		}
		seen[t.Name] = true
		size := uint64(t.Type.BlockBytes())
		for _, d := range t.Dims {
			hi, lo := bits.Mul64(size, uint64(d))
			if d < 0 || hi != 0 || lo > math.MaxInt64/8 {
				return nil, refuse("the bytes of shape %v cannot be counted", t.Dims)
			}
			size = lo
		}
		if total += size; total > math.MaxInt64/8 {
			return nil, refuse("the bytes of all tensors cannot be counted")
		}
		list[i] = sizedInfo{t, typeName, int64(size)}
	}
	return list, nil
}

// split fills shards in order, as transformers does: a tensor that does not fit
// begins the next one, and one that is larger than a shard has its own.
func split(tensors []sizedInfo, maxShard int64) (shards [][]sizedInfo) {
	begin, size := 0, int64(0)
	for i, t := range tensors {
		if i > begin && t.size > 0 && t.size > maxShard-size {
			shards = append(shards, tensors[begin:i])
			begin, size = i, 0
		}
		size += t.size
	}
	return append(shards, tensors[begin:])
}

// layOut makes a file's header and places its tensors: larger elements first, so
// that each tensor begins at a multiple of its own, and otherwise as given.
func layOut(path string, metadata map[string]string, tensors []sizedInfo) (*extent.File, error) {
	tensors = slices.Clone(tensors)
	slices.SortStableFunc(tensors, func(a, b sizedInfo) int { return cmp.Compare(b.Type.BlockBytes(), a.Type.BlockBytes()) })
	head := bytes.NewBuffer(make([]byte, lengthBytes))
	head.WriteByte('{')
	member := func(key string, value any) error {
		if head.Len() > lengthBytes+1 {
			head.WriteByte(',')
		}
		if err := encode(head, key); err != nil {
			return err
		}
		head.WriteByte(':')
		return encode(head, value)
	}
	if metadata != nil {
		if err := checkMetadata(metadata); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if err := member(metadataKey, metadata); err != nil {
			return nil, err
		}
	}
	file := &extent.File{Path: path}
	at := int64(0)
	for _, t := range tensors {
		err := member(t.Name, struct {
			DType   string   `json:"dtype"`
			Shape   []int    `json:"shape"`
			Offsets [2]int64 `json:"data_offsets"`
		}{t.typeName, append([]int{}, t.Dims...), [2]int64{at, at + t.size}})
		if err != nil {
			return nil, err
		}
		file.Ranges = append(file.Ranges, extent.Range{Name: t.Name, Offset: at, Size: t.size})
		at += t.size
	}
	head.WriteByte('}')
	for head.Len()%headerAlign != 0 {
		head.WriteByte(' ')
	}
	n := head.Len() - lengthBytes
	if n > maxHeader {
		return nil, fmt.Errorf("%s: the header has %d bytes, %d are allowed", path, n, maxHeader)
	}
	binary.LittleEndian.PutUint64(head.Bytes(), uint64(n))
	for i := range file.Ranges {
		file.Ranges[i].Offset += int64(head.Len())
	}
	file.Head, file.Size = head.Bytes(), int64(head.Len())+at
	return file, nil
}

// encode appends a value's JSON as the safetensors library writes it, without
// the line end and the HTML escapes of encoding/json.
func encode(b *bytes.Buffer, value any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1)
	return nil
}

// checkWritten checks a name that is to be written, where one byte may become six
// of JSON.
func checkWritten(name string) error {
	if len(name) > maxName/6 || !utf8.ValidString(name) {
		return fmt.Errorf("a name of at most %d bytes of UTF-8 is expected", maxName/6)
	}
	return checkName(name)
}

// checkMetadata refuses what could not be read back.
func checkMetadata(metadata map[string]string) error {
	for k, v := range metadata {
		if err := checkWritten(k); err != nil {
			return fmt.Errorf("metadata key %s: %w", ferr.Quote(k), err)
		}
		if len(v) > maxText/6 || !utf8.ValidString(v) {
			return fmt.Errorf("metadata key %s: a text of at most %d bytes of UTF-8 is expected", ferr.Quote(k), maxText/6)
		}
	}
	return nil
}
