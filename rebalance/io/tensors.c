#include "rebalance/io/tensors.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/io/content.h"
#include "rebalance/io/pytorch.h"
#include "rebalance/io/safetensors.h"

enum { TAR_MAGIC_AT = 257 };

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct ek_tensor *)a)->name, ((const struct ek_tensor *)b)->name);
}

/* The name without the parts that wrappers of modules put into it (tensors.h), to be freed; NULL if it has none. */
static int plain_name(char **out, const char *name)
{
	static const char *const wrappers[] = { "module.", "_orig_mod." };
	char *to;
	int rc;

	EK_TRY(ek_copy_string(out, name));
	to = *out;
	for (const char *from = name; *from != 0;) {
		size_t size = strcspn(from, "."), i = 0;

		size += from[size] == '.';
		while (i < 2 && strncmp(from, wrappers[i], size) != 0)
			i++;
		if (i == 2 || from[size] == 0) {
			memcpy(to, from, size);
			to += size;
		}
		from += size;
	}
	*to = 0;
	if (strlen(*out) == strlen(name)) {
		free(*out);
		*out = NULL;
	}
out:
	return rc;
}

static int unwrap_names(struct ek_tensor_file *file)
{
	int rc = 0;

	for (size_t i = 0; i < file->count; i++) {
		char *plain = NULL;

		EK_TRY(plain_name(&plain, file->tensors[i].name));
		if (plain != NULL) {
			free(file->tensors[i].name);
			file->tensors[i].name = plain;
		}
	}
out:
	return rc;
}

static int sort(struct ek_tensor_file *file)
{
	if (file->count == 0)
		return ek_fail(EK_EDATA, "%s: holds no tensor", file->path);
	qsort(file->tensors, file->count, sizeof *file->tensors, by_name);
	for (size_t i = 1; i < file->count; i++)
		if (by_name(&file->tensors[i - 1], &file->tensors[i]) == 0)
			return ek_fail(EK_EDATA, "%s: two tensors are called %s", file->path, file->tensors[i].name);
	return 0;
}

static int read_by_content(struct ek_tensor_file *file)
{
	const uint8_t *bytes = file->map.data;
	const size_t size = file->map.size;
	struct ek_buffer found = { 0 };
	int rc;

	if (size >= 4 && memcmp(bytes, "PK\3\4", 4) == 0)
		return ek_pytorch_zip_read(file);
	/* Before the stream form: a header of 128 + 256 n bytes starts as a pickle does. A stream's byte 8 is 0xf9. */
	if (size > 8 && bytes[8] == '{')
		return ek_safetensors_read(file);
	if (size >= 2 && bytes[0] == 0x80)
		return ek_pytorch_stream_read(file);
	if (size >= TAR_MAGIC_AT + 5 && memcmp(bytes + TAR_MAGIC_AT, "ustar", 5) == 0)
		return ek_fail(EK_ENOTSUP,
		               "%s: a tar file, as PyTorch wrote before 0.1.10; load it there and save it again",
		               file->path);
	EK_TRY(ek_content_describe(&found, bytes, size < 132 ? size : 132));
	rc = ek_fail(EK_EDATA, "%s: neither a safetensors file nor a PyTorch checkpoint, but %s", file->path,
	             found.data);
out:
	ek_buffer_release(&found);
	return rc;
}

int ek_tensor_file_open(struct ek_tensor_file *file, const char *path)
{
	int rc;

	*file = (struct ek_tensor_file){ 0 };
	EK_TRY(ek_copy_string(&file->path, path));
	EK_TRY(ek_map_open(&file->map, path));
	EK_TRY(read_by_content(file));
	EK_TRY(unwrap_names(file));
	EK_TRY(sort(file));
out:
	if (rc < 0)
		ek_tensor_file_close(file);
	return rc;
}
