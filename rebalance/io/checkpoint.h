/*
 * What the pickle of a PyTorch checkpoint makes: storages, known by key, tensors in them, and the dicts and lists that
 * name the tensors. pytorch.h lists the globals that may appear; pytorch.c knows the two forms of files around it.
 *
 *     ek_checkpoint_init(&c, file, bytes, size);
 *     EK_TRY(ek_pickle_load(&c.pickle, &root));
 *     EK_TRY(ek_checkpoint_place(&c, &c.storages[i], …));    for every storage
 *     EK_TRY(ek_checkpoint_list(&c, root));
 * out:
 *     ek_checkpoint_release(&c);
 */
#ifndef EK_IO_CHECKPOINT_H
#define EK_IO_CHECKPOINT_H

#include "rebalance/io/pickle.h"
#include "rebalance/io/tensor.h"

/* A storage as a persistent id names it; one key may have many. */
struct ek_storage {
	const char *key; /* in the pickle; no NUL */
	size_t key_size;
	enum ek_dtype type;
	uint64_t first, count; /* elements used, of the stored ones */
	const uint8_t *data;   /* the first element used; NULL until placed */
};

struct ek_stored_tensor;

struct ek_checkpoint {
	struct ek_tensor_file *file;
	struct ek_pickle pickle;
	int big_endian; /* of the elements: set by the reader */
	struct ek_storage *storages;
	struct ek_stored_tensor *tensors;
	uint32_t storage_count, tensor_count, storage_room, tensor_room;
	uint64_t visits;
};

/* `bytes`: where the pickles are, in the file's map. `c` must not move afterwards. */
void ek_checkpoint_init(struct ek_checkpoint *c, struct ek_tensor_file *file, const uint8_t *bytes, size_t size);
void ek_checkpoint_release(struct ek_checkpoint *c);

/* The `stored` elements at `data` are those of storage `s`. EK_EDATA if they are too few. */
int ek_checkpoint_place(const struct ek_checkpoint *c, struct ek_storage *s, const uint8_t *data, uint64_t stored);

/* Add every tensor in the value `root` to the file, by its name. EK_EDATA: a tensor reaches beyond its storage, names
 * too long, or values nested without end. */
int ek_checkpoint_list(struct ek_checkpoint *c, ek_pickle_ref root);

#endif
