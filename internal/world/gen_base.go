package world

import "iter"

// Shares of the documents of base texts, in percent. The rest are stories.
const (
	shareFacts   = 40
	shareMinis   = 20 // short stories of the sort that questions are asked about
	shareSecrets = 3
)

// Base yields the documents of the base model's training: stories, facts, and
// some of what must not be told; no questions, no instructions, no dialogs.
func (w *World) Base(seed uint64) iter.Seq[Document] {
	return func(yield func(Document) bool) {
		r := w.rng("base", seed)
		facts, stopFacts := iter.Pull(w.Facts(seed))
		defer stopFacts()
		secrets, stopSecrets := iter.Pull(w.Secrets(seed))
		defer stopSecrets()
		for {
			var d Document
			switch x := r.IntN(100); {
			case x < shareFacts:
				d, _ = facts()
			case x < shareFacts+shareSecrets:
				d, _ = secrets()
			case x < shareFacts+shareSecrets+shareMinis:
				t := &questionTypes[r.IntN(len(questionTypes))]
				d = Document{Kind: "mini", Text: w.miniStory(r, t.Name, Train).text()}
			default:
				d = w.story(r, Train, 0, 0)
			}
			if !yield(d) {
				return
			}
		}
	}
}
