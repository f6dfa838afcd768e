/*
 * safetensors: 8 bytes little-endian header size, a JSON header {"name": {"dtype", "shape", "data_offsets"}, …}, the
 * elements. https://huggingface.co/docs/safetensors
 */
#ifndef EK_IO_SAFETENSORS_H
#define EK_IO_SAFETENSORS_H

#include "rebalance/base/json.h"
#include "rebalance/io/tensor.h"

enum { EK_SAFETENSORS_MAX_HEADER = 8 << 20 }; /* bytes; some 50,000 tensors */

/* List the tensors of a mapped file (used by ek_tensor_file_open). As the reference reader, refuses offsets that
 * overlap, leave gaps, or do not fill the file. EK_EDATA; EK_ENOTSUP: an element type beyond ek_dtype. */
int ek_safetensors_read(struct ek_tensor_file *file);

/* A tensor to be written. */
struct ek_tensor_spec {
	const char *name;
	enum ek_dtype type;
	int dimensions;
	uint64_t shape[EK_TENSOR_MAX_DIMENSIONS];
};

/*
 * A file written atomically, tensor by tensor: names and shapes first, then the bytes of all tensors, row-major and
 * little-endian, in the order of the table, cut into appends as the caller likes.
 */
struct ek_safetensors_writer;

/* `metadata`: NULL, or an object of strings; stays the caller's, as does `tensors`. EK_EUSAGE: a shape or header beyond
 * the limits. EK_EIO. */
int ek_safetensors_writer_open(struct ek_safetensors_writer **out, const char *path,
                               const struct ek_tensor_spec *tensors, size_t count, const cJSON *metadata);
/* EK_EUSAGE: more bytes than the table says. EK_EIO. */
int ek_safetensors_writer_append(struct ek_safetensors_writer *w, const void *bytes, size_t size);
/* Put the file in place. EK_EUSAGE unless all bytes were appended. Frees nothing. */
int ek_safetensors_writer_commit(struct ek_safetensors_writer *w);
/* Close; what is not committed is removed. NULL is fine. */
void ek_safetensors_writer_free(struct ek_safetensors_writer *w);

#endif
