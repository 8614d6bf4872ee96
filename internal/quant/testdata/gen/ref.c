// ref quantises with ggml, or dequantises, from standard input to standard
// output:
//
//	ref quantize TYPE ROWLEN [IMPORTANCE.f32] <values.f32 >blocks
//	ref dequantize TYPE <blocks >values.f32
//	ref f16 <values.f32 >halves        (and bf16)
//
// TYPE is the name of a ggml type, in any case.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ggml.h"

static void *read_all(FILE *f, size_t *n) {
	size_t cap = 1 << 20;
	char *buf = malloc(cap);
	*n = 0;
	for (size_t r; (r = fread(buf + *n, 1, cap - *n, f)) > 0;) {
		*n += r;
		if (*n == cap) buf = realloc(buf, cap *= 2);
	}
	return buf;
}

static enum ggml_type parse(const char *name) {
	for (int t = 0; t < GGML_TYPE_COUNT; t++) {
		const char *s = ggml_type_name(t);
		if (s && !strcasecmp(s, name)) return t;
	}
	fprintf(stderr, "unknown type %s\n", name);
	exit(2);
}

int main(int argc, char **argv) {
	ggml_init((struct ggml_init_params){1 << 20, NULL, true}); // fills the f16 table
	size_t n;
	void *in = read_all(stdin, &n);
	if (argc == 2 && !strcmp(argv[1], "f16")) {
		ggml_fp16_t *out = malloc(n / 2 + 1);
		ggml_fp32_to_fp16_row(in, out, n / 4);
		fwrite(out, 2, n / 4, stdout);
	} else if (argc == 2 && !strcmp(argv[1], "bf16")) {
		ggml_bf16_t *out = malloc(n / 2 + 1);
		ggml_fp32_to_bf16_row_ref(in, out, n / 4);
		fwrite(out, 2, n / 4, stdout);
	} else if (argc >= 4 && !strcmp(argv[1], "quantize")) {
		enum ggml_type t = parse(argv[2]);
		long row = atol(argv[3]);
		float *imp = NULL;
		if (argc > 4) {
			size_t m;
			FILE *f = fopen(argv[4], "rb");
			imp = read_all(f, &m);
		}
		size_t size = n / 4 / row * ggml_row_size(t, row);
		void *out = malloc(size);
		ggml_quantize_chunk(t, in, out, 0, n / 4 / row, row, imp);
		fwrite(out, 1, size, stdout);
	} else if (argc == 3 && !strcmp(argv[1], "dequantize")) {
		enum ggml_type t = parse(argv[2]);
		size_t m = n / ggml_type_size(t) * ggml_blck_size(t);
		float *out = malloc(4 * m);
		ggml_get_type_traits(t)->to_float(in, out, m);
		fwrite(out, 4, m, stdout);
	} else {
		fprintf(stderr, "usage: see ref.c\n");
		return 2;
	}
	return 0;
}
