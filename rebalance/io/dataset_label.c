#include "rebalance/io/dataset_internal.h"

#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"

/* Labels by folder. The folders that all images share tell none from another: the label is the first one behind them.
 * Which those are is asked of the names, in a walk that ends where two images share no folder. */

/* Where the last part of a path begins. */
static size_t folder_of(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash != NULL ? (size_t)(slash - name) + 1 : 0;
}

/* Cut `shared` to the folders that it has in common with the name; `first`: to all that the name is in. */
static int share(struct ek_buffer *shared, const char *name, int first)
{
	size_t same = 0, end = 0;

	if (first)
		return ek_buffer_append(shared, name, folder_of(name));
	for (; same < shared->size && shared->data[same] == name[same]; same++)
		if (name[same] == '/')
			end = same + 1;
	shared->size = end;
	shared->data[end] = 0;
	return 0;
}

int ek_dataset_open_names(struct ek_dataset **out, const struct ek_dataset *d)
{
	int rc;

	EK_TRY(ek_dataset_open(out, (const char *const *)d->paths, d->path_count, NULL, d->key));
	(*out)->looks = 1;
	(*out)->patterns = d->patterns; /* lent */
out:
	return rc;
}

void ek_dataset_close_names(struct ek_dataset *names)
{
	if (names != NULL)
		names->patterns = (struct ek_patterns){ 0 };
	ek_dataset_close(names);
}

static int find_shared(struct ek_dataset *d)
{
	struct ek_dataset_item item = { 0 };
	struct ek_dataset *names = NULL;
	uint64_t count = 0;
	int rc, first = 1;

	d->shared_known = 1;
	EK_TRY(ek_dataset_open_names(&names, d));
	while (first || d->shared.size > 0) {
		ek_dataset_item_clear(&item);
		EK_TRY(ek_dataset_next_selected(names, &item));
		if (rc == 0)
			break;
		if (++count % 4096 == 0)
			EK_TRY(ek_check_interrupt());
		if (!ek_has_image_extension(item.name.data))
			continue;
		EK_TRY(share(&d->shared, item.name.data, first));
		first = 0;
	}
out:
	ek_dataset_close_names(names);
	ek_dataset_item_release(&item);
	/* What is wrong in it is told when it is read. */
	return rc == EK_EDATA ? 0 : rc;
}

int ek_dataset_label_by_folder(struct ek_dataset *d, struct ek_dataset_item *item)
{
	const char *name = item->name.data;
	size_t size;
	int rc = 0;

	if (d->looks || strchr(name, '/') == NULL)
		return 0;
	if (!d->shared_known)
		EK_TRY(find_shared(d));
	if (d->shared.size > 0 && strncmp(name, d->shared.data, d->shared.size) == 0)
		name += d->shared.size;
	name += strspn(name, "/");
	size = strcspn(name, "/");
	if (name[size] == 0 || (size == 2 && strncmp(name, "..", 2) == 0))
		return 0;
	EK_TRY(ek_buffer_append(&item->label, name, size));
	item->has_label = 1;
out:
	return rc;
}
