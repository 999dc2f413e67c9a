/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the source of a script, and its functions called: within the limits, whatever it is. */
#include "tests/fuzz/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return script_try(data, size);
}
