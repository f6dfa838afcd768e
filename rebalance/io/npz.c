#include "rebalance/io/npz.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"

static const char ending[] = ".npy";
enum { ENDING = sizeof ending - 1, NAMES_SHOWN = 8, LONGEST_SHOWN = 64 };

int ek_npz_parse(struct ek_npz *npz, const char *path)
{
	int rc;

	EK_TRY(ek_copy_string(&npz->path, path));
	EK_TRY(ek_zip_open(&npz->zip, npz->map.data, npz->map.size, path));
	EK_TRY(ek_alloc(&npz->inflated, npz->zip.count, sizeof *npz->inflated));
out:
	return rc;
}

int ek_npz_open(struct ek_npz *npz, const char *path)
{
	int rc;

	*npz = (struct ek_npz){ 0 };
	if ((rc = ek_map_open(&npz->map, path)) == 0)
		rc = ek_npz_parse(npz, path);
	if (rc < 0)
		ek_npz_close(npz);
	return rc;
}

void ek_npz_close(struct ek_npz *npz)
{
	for (size_t i = 0; npz->inflated != NULL && i < npz->zip.count; i++)
		free(npz->inflated[i]);
	free(npz->inflated);
	free(npz->path);
	ek_zip_close(&npz->zip);
	ek_map_close(&npz->map);
	*npz = (struct ek_npz){ 0 };
}

static int is_array(const struct ek_zip_entry *e, const char *name)
{
	const size_t length = strlen(name);

	return e->name_size == length + ENDING && memcmp(e->name, name, length) == 0 &&
	       memcmp(e->name + length, ending, ENDING) == 0;
}

/* Its place in the directory, or `count`. */
static size_t find(const struct ek_npz *npz, const char *name)
{
	size_t i = 0;

	while (i < npz->zip.count && !is_array(&npz->zip.entries[i], name))
		i++;
	return i;
}

int ek_npz_has(const struct ek_npz *npz, const char *name)
{
	return find(npz, name) < npz->zip.count;
}

static int fail_missing(const struct ek_npz *npz, const char *name)
{
	struct ek_buffer names = { 0 };
	int rc = 0;

	for (size_t i = 0; i < npz->zip.count && i < NAMES_SHOWN; i++) {
		const struct ek_zip_entry *e = &npz->zip.entries[i];
		const size_t length = e->name_size < LONGEST_SHOWN ? e->name_size : LONGEST_SHOWN;

		EK_TRY(ek_buffer_printf(&names, "%s%.*s", i == 0 ? "" : ", ", (int)length, e->name));
	}
	rc = ek_fail(EK_EDATA, "%s: there is no array '%s' in it, but %s%s", npz->path, name,
	             names.size > 0 ? names.data : "nothing", npz->zip.count > NAMES_SHOWN ? ", …" : "");
out:
	ek_buffer_release(&names);
	return rc;
}

int ek_npz_array(struct ek_npy *out, struct ek_npz *npz, const char *name)
{
	const size_t i = find(npz, name);
	const struct ek_zip_entry *e = &npz->zip.entries[i];
	char *path = NULL;
	int rc;

	*out = (struct ek_npy){ 0 };
	if (i == npz->zip.count)
		return fail_missing(npz, name);
	EK_TRY(ek_format(&path, "%s/%s%s", npz->path, name, ending));
	if (e->data == NULL && e->deflated == NULL) {
		rc = ek_fail(EK_EDATA, "%s: encrypted, or neither stored nor deflated", path);
		goto out;
	}
	if (e->deflated != NULL && npz->inflated[i] == NULL)
		EK_TRY(ek_zip_inflate(&npz->inflated[i], e, path));
	out->map = (struct ek_map){ e->data != NULL ? e->data : npz->inflated[i], e->size };
	EK_TRY(ek_npy_parse(out, path));
	/* Memory that is no map must not be forgotten. */
	if (e->data == NULL)
		out->map = (struct ek_map){ 0 };
out:
	if (rc < 0)
		*out = (struct ek_npy){ 0 };
	free(path);
	return rc;
}
