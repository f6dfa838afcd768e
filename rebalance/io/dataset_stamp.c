#include "rebalance/io/dataset_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/io/filename.h"

/* What tells cheaply whether a data set has changed. */

uint64_t ek_dataset_stamp(const char *path, const struct stat *status)
{
	uint64_t words[6] = { ek_hash64(path, strlen(path)) };
	struct stat now;

	if (status == NULL && stat(path, &now) == 0)
		status = &now;
	if (status == NULL) {
		words[1] = (uint64_t)errno;
	} else if (!S_ISDIR(status->st_mode)) {
		words[1] = (uint64_t)status->st_size;
		words[2] = (uint64_t)status->st_mtim.tv_sec;
		words[3] = (uint64_t)status->st_mtim.tv_nsec;
		words[4] = (uint64_t)status->st_ctim.tv_sec;
		words[5] = (uint64_t)status->st_ctim.tv_nsec;
	}
	return ek_hash64(words, sizeof words);
}

void ek_dataset_saw(struct ek_dataset *d, uint64_t stamp)
{
	(d->whole != NULL ? d->whole : d)->seen += stamp; /* in whatever order */
}

int ek_dataset_look_at_items(struct ek_dataset *d)
{
	struct ek_dataset_item item = { 0 };
	uint64_t count = 0;
	int rc;

	d->looks = 1;
	while ((rc = ek_dataset_next(d, &item)) > 0) {
		ek_dataset_saw(d, ek_dataset_stamp(item.path.data, NULL));
		if (++count % 4096 == 0)
			EK_TRY(ek_check_interrupt());
	}
	/* What is wrong in a list is told when it is read. */
	rc = rc == EK_EDATA ? 0 : rc;
out:
	ek_dataset_item_release(&item);
	return rc;
}

int ek_dataset_look(struct ek_dataset *d)
{
	return d->form->look != NULL ? d->form->look(d) : 0;
}

int ek_dataset_look_once(struct ek_dataset *d)
{
	struct ek_dataset_item item = { 0 };
	int rc;

	if (d->form->look != ek_dataset_look_at_items)
		return 1;
	d->looks = 1;
	rc = ek_dataset_next(d, &item);
	ek_dataset_item_release(&item);
	return rc == EK_EDATA ? 1 : rc; /* as above */
}

static int fingerprint_one(cJSON *list, const struct ek_dataset *d, size_t i)
{
	const uint64_t words[2] = { d->stamps[i], i == 0 ? d->seen : 0 };
	struct stat status;
	char text[17];
	cJSON *object;
	int rc;

	EK_TRY(ek_json_add_object(&object, list, NULL));
	EK_TRY(ek_filename_add(object, "path", d->paths[i]));
	EK_TRY(ek_json_add_string(object, "kind", ek_dataset_kind_name(d->kinds[i])));
	if (d->kinds[i] != EK_DATASET_FOLDER && stat(d->paths[i], &status) == 0)
		EK_TRY(ek_json_add_u64(object, "bytes", (uint64_t)status.st_size));
	(void)snprintf(text, sizeof text, "%016" PRIx64, ek_hash64(words, sizeof words));
	EK_TRY(ek_json_add_string(object, "stamp", text));
out:
	return rc;
}

int ek_dataset_fingerprint(cJSON **out, const struct ek_dataset *d)
{
	int rc = 0;

	if ((*out = cJSON_CreateArray()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for JSON");
	for (size_t i = 0; i < d->path_count; i++)
		EK_TRY(fingerprint_one(*out, d, i));
out:
	if (rc < 0) {
		cJSON_Delete(*out);
		*out = NULL;
	}
	return rc;
}
