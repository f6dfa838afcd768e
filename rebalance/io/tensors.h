/*
 * Weight files: named tensors in place, in a read-only map of the file. The kind is told by content:
 *
 * - safetensors;
 * - PyTorch's zip form (.pt, .pth since 1.6);
 * - PyTorch's stream form (before 1.6, and _use_new_zipfile_serialization=False).
 *
 * Nothing in a file is ever run. A PyTorch checkpoint's pickle is interpreted for tensors and plain values only; a
 * class or function beyond those (pickle.h lists them) is EK_EDATA with its name. Nested dicts and lists give names
 * joined by '.': the `ema` of a SiT checkpoint gives "ema.blocks.0.attn.qkv.weight" …; values that are not tensors are
 * left out. Parts of a name that are "module" (DataParallel, DistributedDataParallel, AveragedModel) or "_orig_mod"
 * (torch.compile) are no part of it here, wherever they are: "ema.module._orig_mod.x" is "ema.x". Two tensors that then
 * have one name are EK_EDATA.
 */
#ifndef EK_IO_TENSORS_H
#define EK_IO_TENSORS_H

#include "rebalance/io/tensor.h"

/* Map a file and list its tensors; every tensor's bytes are checked to lie in the file.
 * EK_EIO, EK_EDATA (damaged, hostile, or not a weight file; names the file and what was found), EK_ENOTSUP. */
int ek_tensor_file_open(struct ek_tensor_file *file, const char *path);

#endif
