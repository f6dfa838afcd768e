/*
 * Where networks compute and what they compute with lies. One device serves a process: it is chosen before the first
 * network or store is made.
 */
#ifndef EK_NN_DEVICE_H
#define EK_NN_DEVICE_H

struct ek_device;

extern const struct ek_device ek_device_cpu;

/* That of networks and stores that name none: what was set, else the CPU. */
const struct ek_device *ek_device(void);
/* NULL: the CPU again. Not while a network or store of another is there. */
void ek_device_set(const struct ek_device *device);

#endif
