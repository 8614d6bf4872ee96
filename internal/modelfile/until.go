package modelfile

import (
	"context"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/llama"
)

// Until returns the model's tensors for as long as ctx lasts, so that whoever
// loads a large model may give up between two of them.
func (m *Model) Until(ctx context.Context) llama.Source { return &untilDone{ctx, m} }

type untilDone struct {
	ctx context.Context
	m   *Model
}

func (u *untilDone) Tensor(name string) (device.RowSource, error) {
	if err := u.ctx.Err(); err != nil {
		return nil, err
	}
	return u.m.Tensor(name)
}
