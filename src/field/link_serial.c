/* SPDX-License-Identifier: Apache-2.0 */
#include "field/link.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "field/holder.h"
#include "util/alloc.h"

struct link_serial {
	struct link link;
	struct loop *loop;
	const struct conf_link *conf;
	struct watch watch;
	bool looked; /* for who holds the port, since it was last open */
	char holder[64];
};

static struct link_serial *serial_of(struct link *link)
{
	return container_of(link, struct link_serial, link);
}

/* Names of ports that have no UART of their own behind them: bytes come as fast as they like. */
static bool has_uart(const char *path)
{
	static const char *const without[] = { "/dev/pts/", "/dev/ttyACM", "/dev/ttyGS",
		"/dev/rfcomm", "/dev/tnt" };
	OWNED char *target = realpath(path, NULL);
	for (size_t i = 0; target && i < sizeof(without) / sizeof(*without); i++) {
		if (strncmp(target, without[i], strlen(without[i])) == 0)
			return false;
	}
	return true;
}

static tcflag_t control_flags(const struct conf_link *conf)
{
	tcflag_t flags = BOTHER | CREAD | CLOCAL | (conf->data_bits == 7 ? CS7 : CS8);
	if (conf->stop_bits == 2)
		flags |= CSTOPB;
	if (conf->parity != PARITY_NONE)
		flags |= PARENB;
	if (conf->parity == PARITY_ODD)
		flags |= PARODD;
	return flags;
}

/*
 * Raw, with the baud rate as a number.  A pseudo-terminal keeps 8 data bits without parity whatever it
 * is told, which is no fault; a real port that takes another rate than it was told is one.
 */
static int set_line(const struct link_serial *serial, int fd, char *why)
{
	const struct conf_link *conf = serial->conf;
	struct termios2 line;
	if (ioctl(fd, TCGETS2, &line) < 0) {
		snprintf(
			why, LINK_WHY_MAX, "%s is no serial port: %s", conf->path, strerror(errno));
		return -ENOTTY;
	}
	line.c_iflag = conf->parity == PARITY_NONE ? 0 : INPCK;
	line.c_oflag = 0;
	line.c_lflag = 0;
	line.c_cflag = control_flags(conf);
	line.c_ispeed = line.c_ospeed = conf->baud;
	/* One byte at least: so a read of nothing means that the port is gone. */
	line.c_cc[VMIN] = 1;
	line.c_cc[VTIME] = 0;
	if (ioctl(fd, TCSETS2, &line) < 0 && serial->link.paced) {
		int error = errno;
		snprintf(why, LINK_WHY_MAX,
			"%s refuses %u baud with these data bits and parity: %s", conf->path,
			conf->baud, strerror(error));
		return -error;
	}
	struct termios2 got = line;
	if (serial->link.paced && ioctl(fd, TCGETS2, &got) == 0 &&
		(got.c_ospeed > conf->baud + conf->baud / 32 ||
			got.c_ospeed < conf->baud - conf->baud / 32)) {
		snprintf(why, LINK_WHY_MAX, "%s cannot do %u baud, the nearest is %u", conf->path,
			conf->baud, got.c_ospeed);
		return -EINVAL;
	}
	return 0;
}

static int set_rs485(const struct conf_link *conf, int fd, char *why)
{
	struct serial_rs485 mode = { .flags = 0 };
	if (!conf->rs485)
		return 0;
	/* The delays that the device tree or an earlier program set stay as they are. */
	ioctl(fd, TIOCGRS485, &mode);
	bool high = conf->rs485_rts == RTS_HIGH;
	mode.flags &= ~(uint32_t)(SER_RS485_RTS_ON_SEND | SER_RS485_RTS_AFTER_SEND |
		SER_RS485_RX_DURING_TX);
	mode.flags |= SER_RS485_ENABLED | (high ? SER_RS485_RTS_ON_SEND : SER_RS485_RTS_AFTER_SEND);
	if (conf->rs485_before_ms)
		mode.delay_rts_before_send = conf->rs485_before_ms;
	if (conf->rs485_after_ms)
		mode.delay_rts_after_send = conf->rs485_after_ms;
	if (ioctl(fd, TIOCSRS485, &mode) == 0)
		return 0;
	int error = errno;
	snprintf(why, LINK_WHY_MAX,
		"the driver of %s does not switch RS-485 direction (%s): leave out link.rs485 "
		"where the adapter switches by itself",
		conf->path, strerror(error));
	return -error;
}

/* Looking through /proc takes milliseconds: once for each time that the port is found taken. */
static void say_taken(struct link_serial *serial, char *why)
{
	if (!serial->looked)
		holder_find(serial->conf->path, serial->holder, sizeof(serial->holder));
	serial->looked = true;
	snprintf(why, LINK_WHY_MAX, "%s is in use by %s: one program only can have it",
		serial->conf->path, serial->holder[0] ? serial->holder : "another program");
}

/* Returns the descriptor of the locked port, or -errno. */
static int open_locked(struct link_serial *serial, char *why)
{
	const char *path = serial->conf->path;
	int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		int error = errno;
		if (error == EBUSY)
			say_taken(serial, why);
		else
			snprintf(why, LINK_WHY_MAX, "cannot open %s: %s%s", path, strerror(error),
				error == EACCES ? " (is the user in group dialout?)" : "");
		return -error;
	}
	/* root passes TIOCEXCL, and other programs know flock() alone: so both. */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		say_taken(serial, why);
		return -EBUSY;
	}
	ioctl(fd, TIOCEXCL);
	return fd;
}

static void serial_ready(struct watch *watch, uint32_t events)
{
	struct link_serial *serial = container_of(watch, struct link_serial, watch);
	if ((events & EPOLLOUT) && !(events & (EPOLLHUP | EPOLLERR))) {
		loop_change(serial->loop, watch, EPOLLIN);
		serial->link.events->writable(serial->link.owner);
	}
	if (watch->added && (events & ~(uint32_t)EPOLLOUT))
		serial->link.events->readable(serial->link.owner);
}

static int serial_open(struct link *link, char *why)
{
	struct link_serial *serial = serial_of(link);
	int fd = open_locked(serial, why);
	if (fd < 0)
		return fd;
	enum conf_answer paced = serial->conf->paced;
	link->paced = paced == ANSWER_YES || (paced == ANSWER_AUTO && has_uart(serial->conf->path));
	int result = set_line(serial, fd, why);
	if (result == 0)
		result = set_rs485(serial->conf, fd, why);
	if (result == 0) {
		ioctl(fd, TCFLSH, TCIOFLUSH);
		serial->watch = (struct watch){
			.fd = fd, .events = EPOLLIN, .ready = serial_ready
		};
		result = loop_add(serial->loop, &serial->watch);
		if (result < 0)
			snprintf(why, LINK_WHY_MAX, "cannot watch %s: %s", serial->conf->path,
				strerror(-result));
	}
	if (result < 0) {
		close(fd);
		serial->watch.fd = -1;
		return result;
	}
	serial->looked = false;
	return 0;
}

static ssize_t serial_read(struct link *link, void *bytes, size_t room)
{
	ssize_t size = read(serial_of(link)->watch.fd, bytes, room);
	if (size > 0)
		return size;
	/* An unplugged adapter reads as nothing. */
	if (size == 0)
		return -ENODEV;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

static ssize_t serial_write(struct link *link, const void *bytes, size_t size)
{
	struct link_serial *serial = serial_of(link);
	ssize_t taken = write(serial->watch.fd, bytes, size);
	if (taken < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		taken = 0;
	}
	if ((size_t)taken < size)
		loop_change(serial->loop, &serial->watch, EPOLLIN | EPOLLOUT);
	return taken;
}

static void serial_close(struct link *link)
{
	struct link_serial *serial = serial_of(link);
	if (serial->watch.fd < 0)
		return;
	loop_remove(serial->loop, &serial->watch);
	/* Else close() may wait half a minute for a port that sends no more. */
	ioctl(serial->watch.fd, TCFLSH, TCIOFLUSH);
	ioctl(serial->watch.fd, TIOCNXCL);
	close(serial->watch.fd);
	serial->watch.fd = -1;
}

static void serial_destroy(struct link *link)
{
	serial_close(link);
	free(serial_of(link));
}

static void serial_explain(const struct link *link, int error, char *why)
{
	const struct link_serial *serial = container_of(link, const struct link_serial, link);
	bool gone = error == ENODEV || error == EIO || error == ENXIO || error == EBADF;
	snprintf(why, LINK_WHY_MAX, gone ? "%s is gone: unplugged? (%s)" : "%s failed: %s",
		serial->conf->path, strerror(error));
}

static const struct link_ops serial_ops = {
	.open = serial_open,
	.read = serial_read,
	.write = serial_write,
	.close = serial_close,
	.destroy = serial_destroy,
	.explain = serial_explain,
};

struct link *link_serial_create(struct loop *loop, const struct conf_link *conf)
{
	struct link_serial *serial = must_alloc(sizeof(*serial));
	serial->link.ops = &serial_ops;
	serial->loop = loop;
	serial->conf = conf;
	serial->watch.fd = -1;
	return &serial->link;
}
