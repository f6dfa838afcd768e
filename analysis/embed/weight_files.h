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

#include "analysis/embed/encoder.h"

/* `*path` (to be freed) = the file to use for an encoder: `given` if it is not NULL, else the first that is found.
 * EK_EDATA if it is not there; the message says which file is wanted, its size, where it is published, and every place
 * that was looked at. EK_EUSAGE: no weight file is known for this encoder. */
int ek_weight_file_find(char **path, const char *encoder, const char *given);

/* EK_EDATA if the file at `path` has the name of one of them with a known hash, and another hash.
 * sha256: lower-case hex, of the file. */
int ek_weight_file_check(const char *path, const char *sha256);

#endif
