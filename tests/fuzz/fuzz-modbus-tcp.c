/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/codec.h"
#include "tests/fuzz/modbus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_modbus(&codec_tcp, "{}", data, size);
	return 0;
}
