package device

import "github.com/cria-llm/cria/internal/tensor"

// Param is a trainable matrix or vector: f32 values and a gradient of the same
// shape. It is a Weight of type F32, so every op of Device takes it. For products
// in bf16 a device rounds the values as it reads them, or keeps a bf16 shadow that
// AdamW and UploadParam rewrite.
type Param interface {
	Weight
	// Value is the f32 master copy. Who writes it with other ops than AdamW and
	// UploadParam leaves a shadow behind.
	Value() Tensor
	// Grad is the gradient; backward ops add to it.
	Grad() Tensor
}

// LogProbs are what TokenLogProbs computes of every row, each (rows, 1), in
// nats: the log-probability of the row's target, the entropy of its
// distribution, and the logarithm of the sum of its exponentiated logits.
type LogProbs struct {
	LogProb, Entropy, LSE Tensor
}

// LogProbGrads are gradients of a scalar with respect to LogProbs. A zero Tensor
// is a gradient of zero.
type LogProbGrads struct {
	LogProb, Entropy, LSE Tensor
}

// AdamWStep is one step's constants of AdamW (arXiv 1711.05101, algorithm 2).
type AdamWStep struct {
	LR, Beta1, Beta2, Eps float32
	WeightDecay           float32 // 0 for vectors: decay is for matrices only
	// Correction1 and Correction2 are 1-Beta1^t and 1-Beta2^t at step t, from 1.
	Correction1, Correction2 float32
	// GradScale multiplies the gradient first: clipping by the global norm, and
	// the division by the number of trained tokens.
	GradScale float32
}

// Trainer is a Device that computes gradients too. What a backward op does to
// each gradient it is given, overwrite or add, is part of its contract; gradients
// of a Param are always added to. For one device and one sequence of calls the
// results are the same bits with any number of threads: parts depend on shapes,
// and every sum has one order.
//
// In training the keys and values of a row are those of its span: ops that take
// spans ignore Pages. A span is one document, or one whole packed sequence where
// documents are not isolated.
type Trainer interface {
	Device

	// NewParam makes a zeroed (rows, cols) parameter with a zeroed gradient.
	// products is F32 or BF16; a device without bf16 products computes those in
	// f32.
	NewParam(rows, cols int, products tensor.DType) (Param, error)
	FreeParam(Param)
	// UploadParam writes values, rows*cols of them.
	UploadParam(p Param, values []float32)
	// Frozen is the parameter as a plain F32 weight for inference, with that
	// type's accumulation order (equal bits in any batch): it shares the memory
	// and sees later changes. It is not freed.
	Frozen(p Param) Weight

	// Zero: x = 0.
	Zero(x Tensor)
	// Copy: y = x.
	Copy(y, x Tensor)
	// Lerp: y += t*(x-y), a moving average.
	Lerp(y, x Tensor, t float32)

	// MatMulBackward is MatMul's: dx = sum over i of dy[i] . w[i], overwritten;
	// no dx is computed where dx.Mem is nil. Gradients of those w that are
	// Params: grad += dy[i]^T . x. x must be MatMul's input.
	MatMulBackward(dx Tensor, dy []Tensor, x Tensor, w []Weight)
	// RMSNormBackward adds to dx, and to gain's gradient where it is a Param. x
	// must be RMSNorm's input; dx may not be dy.
	RMSNormBackward(dx, dy, x Tensor, gain Weight, eps float32)
	// SwiGLUBackward overwrites dgate and dup, which may be gate and up.
	SwiGLUBackward(dgate, dup, dy, gate, up Tensor)
	// RoPEBackward turns the gradient of RoPE's result into that of its input, in
	// place: the inverse rotation times scale.
	RoPEBackward(dx Tensor, headDim int, spans []Span, cos, sin Tensor, scale float32)
	// EmbedBackward adds dy[i] to row ids[i] of the table's gradient, in the
	// order of rows.
	EmbedBackward(table Param, dy Tensor, ids []int32)

	// SelfAttention is Attention of rows among themselves, without a cache:
	// y = softmax(q k^T) v over the rows of the same span whose positions are Lo
	// to the row's own. Shapes (rows, heads*headDim) for q and y, (rows,
	// KV heads*headDim) for k and v, (rows, heads) for lse, the softmax's
	// log-sum-exp, which the backward op needs. q is already scaled. Rows that see
	// nothing, because their position is below Lo or no span has them, get 0 here
	// and in the gradients.
	SelfAttention(y, lse, q, k, v Tensor, headDim int, spans []Span)
	// SelfAttentionBackward overwrites dq, dk and dv. It computes the
	// probabilities again from lse (arXiv 2205.14135, algorithm 4).
	SelfAttentionBackward(dq, dk, dv, dy, y, lse, q, k, v Tensor, headDim int, spans []Span)

	// TokenLogProbs computes out from hidden (rows, dim) and a head of any dtype,
	// (vocabulary, dim), without ever making all logits. A target of -1 has
	// log-probability 0. Tensors of out with a nil Mem are not computed.
	TokenLogProbs(out LogProbs, hidden Tensor, head Weight, targets []int32)
	// TokenLogProbsBackward makes the logits again. It overwrites dhidden, and
	// adds to head's gradient where it is a Param. out is what TokenLogProbs
	// gave.
	TokenLogProbsBackward(dhidden Tensor, d LogProbGrads, out LogProbs, hidden Tensor, head Weight, targets []int32)
	// CrossEntropy is TokenLogProbs and its backward for the loss
	//
	//	sum over rows of weights[i] * (-logprob[i] + zLoss*lse[i]^2)
	//
	// (z-loss: arXiv 2204.02311, section 5) making the logits only once: it
	// overwrites dhidden and out (LogProb and LSE), and adds to head's gradient
	// where it is a Param. Rows with target -1 or weight 0 contribute nothing, and
	// out and dhidden are 0 there.
	CrossEntropy(out LogProbs, dhidden, hidden Tensor, head Weight, targets []int32, weights []float32, zLoss float32)

	// SumSquares returns the sum of squares of a tensor, in float64 and one fixed
	// order. It may be called within a step and waits for the ops before it.
	SumSquares(x Tensor) float64
	// AdamW updates p from its gradient and its moments m and v (of p's shape),
	// then sets the gradient to zero.
	AdamW(p Param, m, v Tensor, s AdamWStep)
}
