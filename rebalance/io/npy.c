#include "rebalance/io/npy.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "rebalance/base/error.h"

enum { ALIGNMENT = 64, GROWTH_DIGITS = 21, SHORT_PREFIX = 10, LONG_PREFIX = 12 };

static const char magic[6] = { '\x93', 'N', 'U', 'M', 'P', 'Y' };

int ek_npy_header(struct ek_buffer *out, enum ek_dtype type, int dimensions, const uint64_t *shape)
{
	const size_t start = out->size;
	uint64_t count, bytes;
	char first[24] = "";
	size_t length, padding;
	int rc = 0;

	if (ek_dtype_kind(type) == 0)
		return ek_fail(EK_EUSAGE, "a .npy file cannot hold %s", ek_dtype_name(type));
	if (dimensions < 0 || dimensions > EK_NPY_MAX_DIMENSIONS ||
	    !ek_shape_size(&count, &bytes, type, dimensions, shape))
		return ek_fail(EK_EUSAGE, "%d dimensions or their sizes are more than an array can have", dimensions);
	EK_TRY(ek_buffer_append(out, magic, sizeof magic));
	EK_TRY(ek_buffer_append(out, "\1\0\0\0", 4));
	EK_TRY(ek_buffer_printf(out, "{'descr': '%c%c%zu', 'fortran_order': False, 'shape': (",
	                        ek_dtype_size(type) == 1 ? '|' : '<', ek_dtype_kind(type), ek_dtype_size(type)));
	for (int i = 0; i < dimensions; i++)
		EK_TRY(ek_buffer_printf(out, i == 0 ? "%llu" : ", %llu", (unsigned long long)shape[i]));
	EK_TRY(ek_buffer_text(out, dimensions == 1 ? ",), }" : "), }"));
	/* NumPy leaves room for the first dimension to grow, and pads to 64 bytes, at least one. */
	if (dimensions > 0)
		EK_TRY(ek_buffer_printf(
			out, "%*s", GROWTH_DIGITS - snprintf(first, sizeof first, "%llu", (unsigned long long)shape[0]),
			""));
	padding = ALIGNMENT - (out->size - start + 1) % ALIGNMENT;
	EK_TRY(ek_buffer_printf(out, "%*s\n", (int)padding, ""));
	length = out->size - start - SHORT_PREFIX;
	out->data[start + 8] = (char)(length & 0xff);
	out->data[start + 9] = (char)(length >> 8);
out:
	return rc;
}

int ek_npy_create(struct ek_atomic_file *file, const char *path, enum ek_dtype type, int dimensions,
                  const uint64_t *shape)
{
	struct ek_buffer header = { 0 };
	int rc;

	*file = (struct ek_atomic_file){ 0 };
	EK_TRY(ek_npy_header(&header, type, dimensions, shape));
	EK_TRY(ek_atomic_open(file, path));
	EK_TRY(ek_atomic_write(file, header.data, header.size));
out:
	ek_buffer_release(&header);
	return rc;
}

int ek_npy_write(const char *path, enum ek_dtype type, int dimensions, const uint64_t *shape, const void *data)
{
	struct ek_atomic_file file;
	uint64_t count, bytes;
	int rc;

	EK_TRY(ek_npy_create(&file, path, type, dimensions, shape));
	(void)ek_shape_size(&count, &bytes, type, dimensions, shape);
	if (bytes > 0)
		EK_TRY(ek_atomic_write(&file, data, bytes));
	EK_TRY(ek_atomic_commit(&file));
out:
	ek_atomic_discard(&file);
	return rc;
}

/* The dict literal between `at` and `end`. */
struct header {
	const char *at, *end;
	const char *path;
};

static int bad_header(const struct header *h, const char *what)
{
	return ek_fail(EK_EDATA, "%s: not a .npy array this program reads: %s", h->path, what);
}

static void skip_space(struct header *h)
{
	while (h->at < h->end && strchr(" \t\r\n", *h->at) != NULL && *h->at != 0)
		h->at++;
}

/* Step over `text`, after white space, if it comes next. */
static int accept(struct header *h, const char *text)
{
	const size_t length = strlen(text);

	skip_space(h);
	if ((size_t)(h->end - h->at) < length || memcmp(h->at, text, length) != 0)
		return 0;
	h->at += length;
	return 1;
}

static int parse_string(struct header *h, char *out, size_t size)
{
	const char quote = accept(h, "'") ? '\'' : accept(h, "\"") ? '"' : 0;
	size_t length = 0;

	if (quote == 0)
		return bad_header(h, "a quoted name is missing in its header");
	while (h->at < h->end && *h->at != quote && *h->at != '\\' && length + 1 < size)
		out[length++] = *h->at++;
	out[length] = 0;
	return accept(h, quote == '"' ? "\"" : "'") ? 0 : bad_header(h, "a name in its header does not end");
}

static int parse_type(struct header *h, struct ek_npy *array)
{
	char text[32], order = '<';
	const char *p = text;
	int rc;

	skip_space(h);
	if (h->at < h->end && *h->at == '[')
		return bad_header(h, "its elements are records");
	if ((rc = parse_string(h, text, sizeof text)) < 0)
		return rc;
	if (*p != 0 && strchr("<>|=", *p) != NULL)
		order = *p++;
	for (enum ek_dtype type = 0; type < EK_DTYPE_COUNT; type++) {
		const char wanted[3] = { ek_dtype_kind(type), (char)('0' + ek_dtype_size(type)), 0 };

		if (wanted[0] == 0 || strcmp(p, wanted) != 0 || (order == '|' && ek_dtype_size(type) > 1))
			continue;
		array->type = type;
		array->big_endian = order == '>' && ek_dtype_size(type) > 1;
		return 0;
	}
	return ek_fail(EK_EDATA, "%s: elements of type '%s', expected a whole or floating-point number", h->path, text);
}

static int parse_size(struct header *h, uint64_t *size)
{
	skip_space(h);
	if (h->at == h->end || *h->at < '0' || *h->at > '9')
		return bad_header(h, "its shape holds something that is not a size");
	*size = 0;
	for (; h->at < h->end && *h->at >= '0' && *h->at <= '9'; h->at++)
		if (__builtin_mul_overflow(*size, 10, size) ||
		    __builtin_add_overflow(*size, (uint64_t)(*h->at - '0'), size))
			return bad_header(h, "its shape is too large");
	(void)accept(h, "L"); /* written by Python 2 */
	return 0;
}

static int parse_shape(struct header *h, struct ek_npy *array)
{
	int rc;

	if (!accept(h, "("))
		return bad_header(h, "its shape is not a tuple");
	while (!accept(h, ")")) {
		if (array->dimensions == EK_NPY_MAX_DIMENSIONS)
			return bad_header(h, "it has more than 4 dimensions");
		if ((rc = parse_size(h, &array->shape[array->dimensions++])) < 0)
			return rc;
		if (accept(h, ","))
			continue;
		if (array->dimensions == 1 || !accept(h, ")"))
			return bad_header(h, "its shape is not a tuple");
		break;
	}
	return 0;
}

static int parse_order(struct header *h, struct ek_npy *array)
{
	array->fortran_order = accept(h, "True");
	return array->fortran_order || accept(h, "False") ? 0 : bad_header(h, "fortran_order is not True or False");
}

static int parse_header(struct header *h, struct ek_npy *array)
{
	static const struct {
		const char *name;
		int (*parse)(struct header *h, struct ek_npy *array);
	} keys[] = { { "descr", parse_type }, { "fortran_order", parse_order }, { "shape", parse_shape } };
	enum { KEYS = sizeof keys / sizeof *keys };
	int seen[KEYS] = { 0 }, rc;
	char name[32];

	if (!accept(h, "{"))
		return bad_header(h, "its header is not a dict");
	while (!accept(h, "}")) {
		size_t key = 0;

		if ((rc = parse_string(h, name, sizeof name)) < 0)
			return rc;
		while (key < KEYS && strcmp(name, keys[key].name) != 0)
			key++;
		if (key == KEYS || seen[key]++ || !accept(h, ":"))
			return bad_header(h, "its header is not {'descr', 'fortran_order', 'shape'}");
		if ((rc = keys[key].parse(h, array)) < 0)
			return rc;
		if (accept(h, ","))
			continue;
		if (!accept(h, "}"))
			return bad_header(h, "its header does not end");
		break;
	}
	skip_space(h);
	if (h->at != h->end || !seen[0] || !seen[1] || !seen[2])
		return bad_header(h, "its header is not {'descr', 'fortran_order', 'shape'}");
	return 0;
}

int ek_npy_parse(struct ek_npy *array, const char *path)
{
	const uint8_t *bytes = array->map.data;
	const size_t size = array->map.size;
	size_t prefix, length;
	uint64_t count, want;
	struct header header;
	int rc;

	if (size < SHORT_PREFIX || memcmp(bytes, magic, sizeof magic) != 0)
		return ek_fail(EK_EDATA, "%s: not a .npy file", path);
	if (bytes[6] < 1 || bytes[6] > 3 || bytes[7] != 0)
		return ek_fail(EK_EDATA, "%s: .npy version %d.%d, expected 1.0 to 3.0", path, bytes[6], bytes[7]);
	prefix = bytes[6] == 1 ? SHORT_PREFIX : LONG_PREFIX;
	if (size < prefix)
		return ek_fail(EK_EDATA, "%s: ends inside its header", path);
	length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
	if (bytes[6] > 1)
		length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
	if (length > size - prefix)
		return ek_fail(EK_EDATA, "%s: ends inside its header", path);
	header.at = (const char *)bytes + prefix;
	header.end = header.at + length;
	header.path = path;
	if ((rc = parse_header(&header, array)) < 0)
		return rc;
	if (!ek_shape_size(&count, &want, array->type, array->dimensions, array->shape))
		return ek_fail(EK_EDATA, "%s: its shape is too large", path);
	if (want != size - prefix - length)
		return ek_fail(EK_EDATA, "%s: %zu bytes of elements, its header says %llu", path,
		               size - prefix - length, (unsigned long long)want);
	array->data = bytes + prefix + length;
	return 0;
}

int ek_npy_open(struct ek_npy *array, const char *path)
{
	int rc;

	*array = (struct ek_npy){ 0 };
	if ((rc = ek_map_open(&array->map, path)) == 0 && (rc = ek_npy_parse(array, path)) < 0)
		ek_npy_close(array);
	return rc;
}

void ek_npy_close(struct ek_npy *array)
{
	ek_map_close(&array->map);
	*array = (struct ek_npy){ 0 };
}

void ek_npy_forget(const struct ek_npy *array, uint64_t begin, uint64_t end)
{
	uint64_t count, bytes;

	if (array->map.data == NULL || array->dimensions == 0 || array->fortran_order)
		return;
	(void)ek_shape_size(&count, &bytes, array->type, array->dimensions - 1, array->shape + 1);
	ek_map_forget((const char *)array->data + begin * bytes, (const char *)array->data + end * bytes);
}

static void print_shape(char *out, size_t size, int dimensions, const uint64_t *shape)
{
	size_t at = (size_t)snprintf(out, size, "[");

	for (int i = 0; i < dimensions && at < size; i++)
		at += (size_t)(shape[i] == UINT64_MAX ? snprintf(out + at, size - at, i == 0 ? "any" : ", any")
		                                      : snprintf(out + at, size - at, i == 0 ? "%llu" : ", %llu",
		                                                 (unsigned long long)shape[i]));
	if (at < size)
		(void)snprintf(out + at, size - at, "]");
}

int ek_npy_open_as(struct ek_npy *array, const char *path, enum ek_dtype type, int dimensions, const uint64_t *shape)
{
	char found[128], wanted[128];
	int same, rc;

	assert(dimensions >= 0 && dimensions <= EK_NPY_MAX_DIMENSIONS);
	if ((rc = ek_npy_open(array, path)) < 0)
		return rc;
	same = array->type == type && array->dimensions == dimensions;
	for (int i = 0; same && i < dimensions; i++)
		same = shape[i] == UINT64_MAX || shape[i] == array->shape[i];
	if (same && !array->fortran_order && !array->big_endian && (uintptr_t)array->data % ek_dtype_size(type) == 0)
		return 0;
	print_shape(found, sizeof found, array->dimensions, array->shape);
	print_shape(wanted, sizeof wanted, dimensions, shape);
	rc = same ? ek_fail(EK_EDATA, "%s: in %s, expected C order, little-endian, aligned", path,
	                    array->fortran_order ? "Fortran order"
	                    : array->big_endian  ? "big-endian order"
	                                         : "unaligned form")
	          : ek_fail(EK_EDATA, "%s: %s %s, expected %s %s", path, ek_dtype_name(array->type), found,
	                    ek_dtype_name(type), wanted);
	ek_npy_close(array);
	return rc;
}

void ek_npy_rows_f32(float *out, const struct ek_npy *array, uint64_t first, uint64_t count)
{
	const size_t size = ek_dtype_size(array->type), d = array->shape[1];
	const uint8_t *data = array->data;

	assert(array->dimensions == 2 && ek_dtype_kind(array->type) == 'f');
	assert(first <= array->shape[0] && count <= array->shape[0] - first);
	if (!array->fortran_order) {
		ek_convert_f32(out, 1, data + first * d * size, size, count * d, array->type, array->big_endian);
		return;
	}
	for (size_t j = 0; j < d; j++)
		ek_convert_f32(out + j, d, data + (j * array->shape[0] + first) * size, size, count, array->type,
		               array->big_endian);
}

void ek_npy_row_f32(float *out, const struct ek_npy *array, uint64_t i)
{
	ek_npy_rows_f32(out, array, i, 1);
}
