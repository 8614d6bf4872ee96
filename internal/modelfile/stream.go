package modelfile

import (
	"context"
	"sync"

	"github.com/cria-llm/cria/internal/sys/par"
)

// piece is a run of rows on its way from a source to a writer.
type piece struct {
	it     *item
	row, n int
	buf    *buffers
	err    error
	done   chan struct{} // closed when buf.out or err is there
}

// stream encodes all items with several workers and writes their pieces in
// order. At most two pieces per worker are under way: they bound the memory.
func stream(ctx context.Context, w tensorWriter, items []*item, opt ConvertOptions) error {
	workers := opt.Workers
	if workers <= 0 {
		workers = par.DefaultWorkers()
	}
	ctx, cancel := context.WithCancel(ctx)
	order := make(chan *piece, workers)
	jobs := make(chan *piece)
	free := make(chan *buffers, 2*workers)
	for range cap(free) {
		free <- &buffers{}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		defer close(order)
		defer close(jobs)
		cut(ctx, items, free, order, jobs)
	})
	for range workers {
		wg.Go(func() {
			for p := range jobs {
				p.err = p.it.encode(p.buf, p.row, p.n)
				close(p.done)
			}
		})
	}
	var done, total int64
	for _, it := range items {
		rows, cols := it.src.Shape()
		total += int64(rows) * int64(it.src.DType().RowBytes(cols))
	}
	for p := range order {
		<-p.done
		if p.err != nil {
			return p.err
		}
		if err := w.WriteTensor(p.it.name, p.buf.out); err != nil {
			return err
		}
		_, cols := p.it.src.Shape()
		done += int64(p.n) * int64(p.it.src.DType().RowBytes(cols))
		if opt.Progress != nil {
			opt.Progress(done, total)
		}
		free <- p.buf
	}
	return ctx.Err()
}

// cut deals out pieces until all items are done or ctx is.
func cut(ctx context.Context, items []*item, free chan *buffers, order, jobs chan<- *piece) {
	for _, it := range items {
		rows, cols := it.src.Shape()
		step := max(1, pieceBytes/(4*cols))
		for row := 0; row < rows; row += step {
			p := &piece{it: it, row: row, n: min(step, rows-row), done: make(chan struct{})}
			select {
			case p.buf = <-free:
			case <-ctx.Done():
				return
			}
			jobs <- p // workers take until jobs is closed
			select {
			case order <- p:
			case <-ctx.Done(): // the writer may be gone
				return
			}
		}
	}
}
