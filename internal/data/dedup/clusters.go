package dedup

import "slices"

// Clusters joins pairs of documents into clusters (union-find). It takes memory
// for documents that are in a pair, and for no others.
type Clusters struct {
	parent map[uint64]uint64 // of documents that are not the first of their cluster
}

// ClusterBytes is what one document in a pair takes in memory, about.
const ClusterBytes = 40

// Join puts two documents, and with them their clusters, into one.
func (c *Clusters) Join(a, b uint64) {
	a, b = c.First(a), c.First(b)
	if a == b {
		return
	}
	if c.parent == nil {
		c.parent = map[uint64]uint64{}
	}
	// The lower number is the root, whatever the sizes: the first document stays.
	c.parent[max(a, b)] = min(a, b)
}

// First returns the lowest document of the cluster that doc is in.
func (c *Clusters) First(doc uint64) uint64 {
	first := doc
	for p, ok := c.parent[first]; ok; p, ok = c.parent[first] {
		first = p
	}
	for p, ok := c.parent[doc]; ok && p != first; p, ok = c.parent[doc] { // shorten the way
		c.parent[doc] = first
		doc = p
	}
	return first
}

// Len returns how many documents are in a cluster and not its first.
func (c *Clusters) Len() int { return len(c.parent) }

// Dropped calls visit for all documents but the first of each cluster, in order.
func (c *Clusters) Dropped(visit func(doc, first uint64)) {
	docs := make([]uint64, 0, len(c.parent))
	for d := range c.parent {
		docs = append(docs, d)
	}
	slices.Sort(docs)
	for _, d := range docs {
		visit(d, c.First(d))
	}
}
