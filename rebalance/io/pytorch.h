/*
 * PyTorch checkpoints, both forms, as torch.save has written them since 0.1.10. TorchScript archives, which
 * torch.jit.save writes (OpenAI's own CLIP files are such), are EK_EDATA with what to do.
 *
 * Globals that may appear in their pickles: torch's storage classes, torch._utils._rebuild_tensor, _v2, _v3,
 * _rebuild_parameter, _rebuild_parameter_with_state, collections.OrderedDict, torch.Size; and, as opaque values of
 * which nothing is kept, torch.device, torch's dtypes, set, and argparse.Namespace (the `args` of DiT and SiT
 * checkpoints). Every other global is EK_EDATA with its name, wherever it appears and whether it would be called or
 * not.
 */
#ifndef EK_IO_PYTORCH_H
#define EK_IO_PYTORCH_H

#include "rebalance/io/tensor.h"

/* List the tensors of a mapped file (used by ek_tensor_file_open). EK_EDATA. */
int ek_pytorch_zip_read(struct ek_tensor_file *file);
int ek_pytorch_stream_read(struct ek_tensor_file *file);

#endif
