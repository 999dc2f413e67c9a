/* SPDX-License-Identifier: Apache-2.0 */
#include "util/log.h"

int main(void)
{
	log_error("enos-bridged: not built yet");
	return 1;
}
