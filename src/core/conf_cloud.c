/* SPDX-License-Identifier: Apache-2.0 */
/* What devices are in the cloud: the group enos, what a device has of its own, and secrets. */
#include "core/conf_parts.h"

#include <string.h>

#include "util/alloc.h"

#define PORT_PLAIN 5683
#define PORT_DTLS 5684
/* "{pk},{dk},2,86400" as the identity of a DTLS handshake (enos-protocol, 6). */
#define IDENTITY_MAX 255
#define IDENTITY_EXTRA 9

static void choose_port(struct conf_enos *enos)
{
	if (!enos->port)
		enos->port = enos->security == SECURITY_DTLS ? PORT_DTLS : PORT_PLAIN;
}

void enos_read(struct conf_parts *parts, const struct node *group)
{
	struct conf_enos *enos = &parts->conf->enos;
	choose_port(enos);
	if (!group)
		return;
	enos->place = group->place;
	if (enos->retry_min_ms > enos->retry_max_ms)
		problem_error(parts->problems, group->place,
			"retry_min (%g s) is more than retry_max (%g s): set both",
			enos->retry_min_ms / 1e3, enos->retry_max_ms / 1e3);
}

/* The device's own terms: those of all, but for what stands in its group. */
static void read_own(struct conf_parts *parts, struct conf_device *device, const struct node *group)
{
	const struct conf_enos *all = &parts->conf->enos;
	struct conf_enos *own = must_memdup(all, sizeof(*all));
	own->host = all->host ? must_strdup(all->host) : NULL;
	own->keepalive_topic = must_strdup(all->keepalive_topic);
	own->place = group->place;
	if (node_find(group, "host") || node_find(group, "security"))
		own->port = 0;
	section_read(&device_enos_section, group, own, NULL, parts->problems);
	choose_port(own);
	device->own_enos = own;
	device->enos = own;
}

struct secret_keys {
	const char *file_key, *key;
	char **file, **secret;
};

/* Reads the secret where the group has one.  Returns the node that brings it, or NULL. */
static const struct node *read_secret(struct conf_parts *parts, const struct secret_keys *keys,
	const struct node *node, bool open_to_others)
{
	const struct node *file = node_find(node, keys->file_key);
	const struct node *secret = node_find(node, keys->key);
	if (file && secret) {
		problem_error(parts->problems, secret->place,
			"%s stands beside %s: remove one of them", keys->key, keys->file_key);
	} else if (*keys->file) {
		char *path = path_resolve(parts, *keys->file);
		free(*keys->file);
		*keys->file = path;
		*keys->secret = secret_read(parts, file, path, FORM_TOKEN);
	} else if (secret && open_to_others) {
		problem_warning(parts->problems, secret->place,
			"%s stands in a file that every user of this machine can read: chmod o= the "
			"file, or use %s",
			keys->key, keys->file_key);
	}
	return file ? file : secret;
}

static void check_dtls(
	struct conf_parts *parts, const struct conf_device *device, const struct node *product)
{
	if (device->enos->security != SECURITY_DTLS) {
		if (product)
			problem_error(parts->problems, product->place,
				"%s needs security = \"dtls\" in enos: plain CoAP knows no "
				"activation; use secret_file",
				product->key);
		return;
	}
	if (device->product_key && device->device_key &&
		strlen(device->product_key) + strlen(device->device_key) + IDENTITY_EXTRA >
			IDENTITY_MAX)
		problem_error(parts->problems, device->place,
			"product_key and device_key have more than %d bytes together: with DTLS they "
			"must fit into its identity",
			IDENTITY_MAX - IDENTITY_EXTRA);
}

void device_cloud_read(struct conf_parts *parts, struct conf_device *device,
	const struct node *node, bool open_to_others)
{
	const struct secret_keys own = { "secret_file", "device_secret", &device->secret_file,
		&device->secret };
	const struct secret_keys products = { "product_secret_file", "product_secret",
		&device->product_secret_file, &device->product_secret };
	const struct node *group = node_find(node, "enos");
	device->enos = &parts->conf->enos;
	if (group && group->type == NODE_GROUP)
		read_own(parts, device, group);
	const struct node *secret = read_secret(parts, &own, node, open_to_others);
	const struct node *product = read_secret(parts, &products, node, open_to_others);
	if (secret && product)
		problem_error(parts->problems, product->place,
			"%s stands beside %s: a device has a secret, or gets it by its product's",
			product->key, secret->key);
	else if (!secret && !product)
		problem_error(parts->problems, node->place,
			"device lacks secret_file: a file with its secret in EnOS");
	check_dtls(parts, device, product);
}

static void wipe(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
}

void device_cloud_finish(struct conf_device *device)
{
	wipe(device->secret);
	wipe(device->product_secret);
	if (device->own_enos)
		section_finish(&device_enos_section, device->own_enos);
	free(device->own_enos);
}
