#include "analysis/embed/weight_files.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/memory.h"

/* The folders of the three caches; NULL where the environment names none. */
struct caches {
	char *ours, *hugging_face, *torch;
};

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && *value != 0 ? value : NULL;
}

/* `base`/`folder`, or NULL where there is no base. */
static int below(char **out, const char *base, const char *folder)
{
	*out = NULL;
	return base == NULL ? 0 : ek_format(out, "%s/%s", base, folder);
}

static int find_caches(struct caches *c)
{
	const char *home = variable("HOME"), *xdg = variable("XDG_CACHE_HOME"), *hub = variable("HF_HUB_CACHE"),
		   *hugging_face = variable("HF_HOME"), *torch = variable("TORCH_HOME");
	char *general = NULL;
	int rc;

	*c = (struct caches){ 0 };
	if (xdg != NULL && *xdg == '/') /* the specification has relative ones ignored */
		EK_TRY(ek_copy_string(&general, xdg));
	else
		EK_TRY(below(&general, home, ".cache"));
	EK_TRY(below(&c->ours, general, "evenkeel"));
	if (hub != NULL)
		EK_TRY(ek_copy_string(&c->hugging_face, hub));
	else if (hugging_face != NULL)
		EK_TRY(below(&c->hugging_face, hugging_face, "hub"));
	else
		EK_TRY(below(&c->hugging_face, general, "huggingface/hub"));
	if (torch != NULL)
		EK_TRY(below(&c->torch, torch, "hub/checkpoints"));
	else
		EK_TRY(below(&c->torch, general, "torch/hub/checkpoints"));
out:
	free(general);
	return rc;
}

static void release_caches(struct caches *c)
{
	free(c->ours);
	free(c->hugging_face);
	free(c->torch);
}

/* What was found, and the places looked at, for the message. */
struct search {
	char *found;
	struct ek_buffer places;
};

static int note_place(struct search *s, const char *place)
{
	return ek_buffer_printf(&s->places, "%s%s", s->places.size > 0 ? ", " : "", place);
}

static int try_file(struct search *s, const char *folder, const char *file, int noted)
{
	char *path = NULL;
	int rc = 0;

	if (folder == NULL || s->found != NULL)
		return 0;
	EK_TRY(below(&path, folder, file));
	if (noted)
		EK_TRY(note_place(s, path));
	if (ek_file_exists(path)) {
		s->found = path;
		path = NULL;
	}
out:
	free(path);
	return rc;
}

/* Hugging Face's cache keeps every commit; refs/main names the one that was fetched last from there. */
static int try_snapshots(struct search *s, const char *hub, const char *repository)
{
	const char *slash = strchr(repository, '/');
	char *model = NULL, *path = NULL, *snapshots = NULL;
	struct ek_buffer commit = { 0 };
	struct dirent **entries = NULL;
	int count = 0, rc;

	EK_TRY(ek_format(&model, "%s/models--%.*s--%s", hub, (int)(slash - repository), repository, slash + 1));
	EK_TRY(ek_format(&path, "%s/refs/main", model));
	EK_TRY(ek_format(&snapshots, "%s/snapshots", model));
	EK_TRY(ek_buffer_printf(&s->places, "%s%s/*/model.safetensors", s->places.size > 0 ? ", " : "", snapshots));
	if (ek_file_exists(path) && ek_file_read(&commit, path, 256) == 0) {
		while (commit.size > 0 && commit.data[commit.size - 1] == '\n')
			commit.data[--commit.size] = 0;
		EK_TRY(ek_buffer_text(&commit, "/model.safetensors"));
		EK_TRY(try_file(s, snapshots, commit.data, 0));
	}
	count = scandir(snapshots, &entries, NULL, alphasort);
	for (int i = 0; i < count && s->found == NULL; i++) {
		ek_buffer_clear(&commit);
		EK_TRY(ek_buffer_printf(&commit, "%s/model.safetensors", entries[i]->d_name));
		EK_TRY(try_file(s, snapshots, commit.data, 0));
	}
out:
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	free(model);
	free(path);
	free(snapshots);
	ek_buffer_release(&commit);
	return rc;
}

/* The message when a file is missing. */
static int missing(const struct ek_encoder *encoder, const struct search *s)
{
	struct ek_buffer wanted = { 0 };
	int rc;

	for (const struct ek_weight_file *f = encoder->files; f->file != NULL; f++) {
		EK_TRY(ek_buffer_printf(&wanted, "%s%s (%u MB, published ", wanted.size > 0 ? " or " : "", f->file,
		                        f->megabytes));
		if (f->hugging_face != NULL)
			EK_TRY(ek_buffer_printf(&wanted, "as model.safetensors at https://huggingface.co/%s)",
			                        f->hugging_face));
		else
			EK_TRY(ek_buffer_printf(&wanted, "at %s)", f->published));
	}
	rc = ek_fail(EK_EDATA, "no weights for %s: give 'weights' FILE with %s; looked for %s", encoder->name,
	             wanted.data, s->places.size > 0 ? s->places.data : "none, since HOME is not set");
out:
	ek_buffer_release(&wanted);
	return rc;
}

static int search_caches(struct search *s, const struct ek_encoder *encoder)
{
	struct caches caches = { 0 };
	int rc;

	if (encoder->files == NULL)
		return ek_fail(EK_EUSAGE, "no weight file is known for the encoder %s", encoder->name);
	EK_TRY(find_caches(&caches));
	for (const struct ek_weight_file *f = encoder->files; f->file != NULL && s->found == NULL; f++) {
		EK_TRY(try_file(s, caches.ours, f->file, 1));
		if (f->hugging_face != NULL && caches.hugging_face != NULL && s->found == NULL)
			EK_TRY(try_snapshots(s, caches.hugging_face, f->hugging_face));
		else if (f->hugging_face == NULL)
			EK_TRY(try_file(s, caches.torch, f->file, 1));
	}
	if (s->found == NULL)
		rc = missing(encoder, s);
out:
	release_caches(&caches);
	return rc;
}

int ek_weight_file_find(char **path, const char *encoder, const char *given)
{
	struct search search = { 0 };
	const struct ek_encoder *e;
	int rc;

	*path = NULL;
	if (given != NULL)
		return ek_file_exists(given) ? ek_copy_string(path, given)
		                             : ek_fail(EK_EDATA, "the weight file %s is not there", given);
	if ((rc = ek_encoder_find(&e, encoder)) < 0)
		return rc;
	if ((rc = search_caches(&search, e)) == 0) {
		*path = search.found;
		search.found = NULL;
	}
	free(search.found);
	ek_buffer_release(&search.places);
	return rc;
}

int ek_weight_file_check(const char *path, const char *sha256)
{
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;

	for (const struct ek_encoder *e = ek_encoders; e->name != NULL; e++)
		for (const struct ek_weight_file *f = e->files; f != NULL && f->file != NULL; f++)
			if (strcmp(name, f->file) == 0 && strncmp(sha256, f->sha256, strlen(f->sha256)) != 0)
				return ek_fail(EK_EDATA, "%s: its SHA-256 is %s, expected %s%s: fetch it again", path,
				               sha256, f->sha256, strlen(f->sha256) < 64 ? "…" : "");
	return 0;
}
