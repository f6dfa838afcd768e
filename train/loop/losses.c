#include "train/loop/losses.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/json.h"

/* The header has room for any number of rows: it is written anew after each. */
static int write_header(struct ek_losses *l)
{
	const uint64_t shape[2] = { l->rows, l->of.images };
	struct ek_buffer header = { 0 };
	int rc;

	EK_TRY(ek_npy_header(&header, EK_F32, 2, shape));
	if (pwrite(l->fd, header.data, header.size, 0) != (ssize_t)header.size)
		rc = ek_fail_errno("cannot write %s", l->path);
out:
	ek_buffer_release(&header);
	return rc;
}

/* The same for any number of rows (npy.c). */
static int header_size(size_t *size, const struct ek_losses *l)
{
	const uint64_t shape[2] = { 0, l->of.images };
	struct ek_buffer header = { 0 };
	int rc;

	EK_TRY(ek_npy_header(&header, EK_F32, 2, shape));
	*size = header.size;
out:
	ek_buffer_release(&header);
	return rc;
}

static int describe(const struct ek_losses *l, const char *folder)
{
	cJSON *json = cJSON_CreateObject();
	char *path = NULL;
	int rc;

	EK_TRY(ek_format(&path, "%s/losses.json", folder));
	EK_TRY(ek_json_add_u64(json, "every", l->of.every));
	EK_TRY(ek_json_add_u64(json, "images", l->of.images));
	EK_TRY(ek_json_add_u64(json, "draws", (uint64_t)l->of.grid.draws));
	EK_TRY(ek_json_add_u64(json, "seed", l->of.grid.seed));
	EK_TRY(ek_json_save(json, path));
out:
	free(path);
	cJSON_Delete(json);
	return rc;
}

static size_t row_size(const struct ek_losses *l)
{
	return (size_t)l->of.images * sizeof(float);
}

int ek_losses_open(struct ek_losses *l, const char *folder, const struct ek_loss_log *of, uint64_t step)
{
	const uint64_t due = step / of->every;
	struct stat status;
	size_t header;
	int rc;

	*l = (struct ek_losses){ .of = *of, .fd = -1 };
	EK_TRY(ek_format(&l->path, "%s/losses.npy", folder));
	EK_TRY(header_size(&header, l));
	EK_TRY(ek_open_writable(&l->fd, l->path, O_WRONLY | O_CREAT));
	if (fstat(l->fd, &status) < 0)
		return ek_fail_errno("cannot look at %s", l->path);
	l->rows = (size_t)status.st_size > header ? ((size_t)status.st_size - header) / row_size(l) : 0;
	l->rows = l->rows < due ? l->rows : due;
	/* That of the checkpoint's own step may have been cut short; it is made from what the checkpoint holds. */
	if (l->rows + (step % of->every == 0) < due)
		return ek_fail(EK_EDATA,
		               "%s has %" PRIu64 " rows, %" PRIu64 " belong to step %" PRIu64
		               ": the model can only be trained anew",
		               l->path, l->rows, due, step);
	if (ftruncate(l->fd, (off_t)(header + l->rows * row_size(l))) < 0)
		return ek_fail_errno("cannot shorten %s", l->path);
	EK_TRY(write_header(l));
	EK_TRY(describe(l, folder));
out:
	return rc;
}

int ek_losses_append(struct ek_losses *l, const float *row)
{
	int rc;

	if (lseek(l->fd, 0, SEEK_END) < 0)
		return ek_fail_errno("cannot write %s", l->path);
	EK_TRY(ek_write_all(l->fd, row, row_size(l), l->path));
	l->rows++;
	EK_TRY(write_header(l));
out:
	return rc;
}

int ek_losses_sync(struct ek_losses *l)
{
	return l->fd < 0 || fsync(l->fd) == 0 ? 0 : ek_fail_errno("cannot write %s", l->path);
}

void ek_losses_release(struct ek_losses *l)
{
	if (l->fd >= 0)
		(void)close(l->fd);
	free(l->path);
	*l = (struct ek_losses){ .fd = -1 };
}

int ek_losses_read(struct ek_npy *array, struct ek_loss_log *of, const char *folder)
{
	uint64_t shape[2] = { UINT64_MAX, UINT64_MAX }, draws;
	char *path = NULL, *json_path = NULL;
	cJSON *json = NULL;
	int rc;

	*of = (struct ek_loss_log){ 0 };
	EK_TRY(ek_format(&path, "%s/losses.npy", folder));
	EK_TRY(ek_format(&json_path, "%s/losses.json", folder));
	if (!ek_file_exists(path)) {
		rc = ek_fail(EK_EDATA, "%s is not there: the model was trained without a log of losses", path);
		goto out;
	}
	EK_TRY(ek_json_load(&json, json_path));
	EK_TRY(ek_json_get_u64(&of->every, json, "every", json_path));
	EK_TRY(ek_json_get_u64(&of->images, json, "images", json_path));
	EK_TRY(ek_json_get_u64(&draws, json, "draws", json_path));
	EK_TRY(ek_json_get_u64(&of->grid.seed, json, "seed", json_path));
	of->grid.draws = (int)draws;
	shape[1] = of->images;
	EK_TRY(ek_npy_open_as(array, path, EK_F32, 2, shape));
out:
	cJSON_Delete(json);
	free(path);
	free(json_path);
	return rc;
}
