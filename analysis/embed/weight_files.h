/*
 * The public weight files of the encoders: what they are called, where they are published, and where they are found on
 * this machine. Nothing is fetched.
 *
 * Looked for, in this order, for each of an encoder's files:
 * - ${XDG_CACHE_HOME:-~/.cache}/evenkeel/FILE, where ./quickstart puts them and users may;
 * - the local Hugging Face cache, models--ORG--NAME/snapshots/COMMIT/model.safetensors below $HF_HUB_CACHE,
 *   $HF_HOME/hub or ${XDG_CACHE_HOME:-~/.cache}/huggingface/hub;
 * - torch.hub's cache, hub/checkpoints/FILE below $TORCH_HOME or ${XDG_CACHE_HOME:-~/.cache}/torch.
 */
#ifndef EK_EMBED_WEIGHT_FILES_H
#define EK_EMBED_WEIGHT_FILES_H

struct ek_weight_file {
	const char *encoder;
	const char *file;         /* its name in our and in torch.hub's cache */
	const char *hugging_face; /* repository that publishes it as model.safetensors; NULL: another place */
	const char *published;    /* address or package; NULL: hugging_face says it */
	unsigned megabytes;       /* size in 10^6 bytes, rounded */
	const char *sha256;       /* as many leading hex digits as its publisher gives; "": none */
};

/* All files, those of one encoder together, the preferred one first; ends with a NULL encoder. */
extern const struct ek_weight_file ek_weight_files[];

/* `*path` (to be freed) = the file to use for an encoder: `given` if it is not NULL, else the first that is found.
 * EK_EDATA if it is not there; the message says which file is wanted, its size, where it is published, and every place
 * that was looked at. EK_EUSAGE: no weight file is known for this encoder. */
int ek_weight_file_find(char **path, const char *encoder, const char *given);

/* EK_EDATA if the file at `path` has the name of one of the table with a known hash, and another hash.
 * sha256: lower-case hex, of the file. */
int ek_weight_file_check(const char *path, const char *sha256);

#endif
