/*
 * A device whose memory the host cannot reach: it computes as the CPU does, in memory that is mapped without any right
 * but while an operator, a step of the store or a copy runs. A host that follows a pointer of the device's dies.
 *
 * On one thread the check is sharp; beside an operator on another thread the host can reach what it must not.
 */
#ifndef EK_TESTS_NN_FAKE_DEVICE_H
#define EK_TESTS_NN_FAKE_DEVICE_H

#include "train/nn/device.h"

const struct ek_device *fake_device(void);

#endif
