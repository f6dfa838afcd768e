/*
 * The text of the two kernels, read by resize_kernels.c once for each instruction set, with these macros set:
 *
 *	ISA     its name, as in struct ek_resize_kernels
 *	TARGET  the attribute that lets the compiler use it
 *	SUM     16 sums of 32 bits
 *	SUM_START(s)           s = a half, for rounding
 *	SUM_ADD(s, bytes, w)   s += 16 bytes at `bytes` × w
 *	SUM_STORE(bytes, s)    16 bytes at `bytes` = s, rounded and clipped
 */
#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

TARGET static void JOIN(turn_rows, ISA)(uint8_t *turned, const uint8_t *const *in, size_t bytes)
{
	bytes16 v[16] = { { 0 } };

	for (size_t at = 0; at < bytes; at += 16) {
		const size_t size = bytes - at;

		if (size >= 16)
			for (int i = 0; i < 16; i++)
				memcpy(&v[i], in[i] + at, 16);
		else
			for (int i = 0; i < 16; i++)
				memcpy(&v[i], in[i] + at, size);
		TURN_BLOCK(v);
		for (int i = 0; i < 16; i++)
			memcpy(turned + (at + (size_t)i) * 16, &v[i], 16);
	}
}

TARGET static void JOIN(horizontal, ISA)(uint8_t *const *out, const uint8_t *const *in, size_t in_bytes,
                                         size_t out_bytes, uint8_t *turned, uint8_t *result, const struct ek_taps *t)
{
	const size_t size = t->size;

	JOIN(turn_rows, ISA)(turned, in, in_bytes);
	for (size_t x = 0; x < t->count; x++) {
		const uint8_t *from = turned + (t->first[x] - t->begin) * 48;
		const int32_t *weights = t->weights + x * size;
		SUM red, green, blue;

		SUM_START(red);
		SUM_START(green);
		SUM_START(blue);
		for (size_t i = 0; i < size; i++, from += 48) {
			SUM_ADD(red, from, weights[i]);
			SUM_ADD(green, from + 16, weights[i]);
			SUM_ADD(blue, from + 32, weights[i]);
		}
		SUM_STORE(result + x * 48, red);
		SUM_STORE(result + x * 48 + 16, green);
		SUM_STORE(result + x * 48 + 32, blue);
	}
	for (size_t at = 0; at < out_bytes; at += 16) {
		bytes16 v[16];

		for (int i = 0; i < 16; i++)
			memcpy(&v[i], result + (at + (size_t)i) * 16, 16);
		TURN_BLOCK(v);
		for (int i = 0; i < 16; i++)
			memcpy(out[i] + at, &v[i], 16);
	}
}

TARGET static void JOIN(vertical, ISA)(uint8_t *out, const uint8_t *in, size_t stride, size_t bytes,
                                       const int32_t *weights, size_t count)
{
	size_t at = 0;

	for (; at + 48 <= bytes; at += 48) {
		const uint8_t *from = in + at;
		SUM a, b, c;

		SUM_START(a);
		SUM_START(b);
		SUM_START(c);
		for (size_t i = 0; i < count; i++, from += stride) {
			SUM_ADD(a, from, weights[i]);
			SUM_ADD(b, from + 16, weights[i]);
			SUM_ADD(c, from + 32, weights[i]);
		}
		SUM_STORE(out + at, a);
		SUM_STORE(out + at + 16, b);
		SUM_STORE(out + at + 32, c);
	}
	for (; at < bytes; at += 16) { /* rows of `in` are padded to 16, `out` is not */
		const uint8_t *from = in + at;
		uint8_t last[16];
		SUM a;

		SUM_START(a);
		for (size_t i = 0; i < count; i++, from += stride)
			SUM_ADD(a, from, weights[i]);
		SUM_STORE(last, a);
		memcpy(out + at, last, bytes - at < 16 ? bytes - at : 16);
	}
}

static const struct ek_resize_kernels JOIN(kernels, ISA) = { TEXT(ISA), JOIN(horizontal, ISA), JOIN(vertical, ISA) };

#undef JOIN_
#undef JOIN
#undef TEXT_
#undef TEXT
#undef ISA
#undef TARGET
#undef SUM
#undef SUM_START
#undef SUM_ADD
#undef SUM_STORE
