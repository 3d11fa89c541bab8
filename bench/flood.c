/* Spoofed SYNs, as many as one core makes: flood INTERFACE MAC ADDRESS PORT SECONDS COUNT
 *
 * Each SYN comes from another address and port of 198.18.0.0/15 (RFC 2544: for benchmarks) and has the options that
 * Linux sends. It ends after SECONDS or COUNT SYNs, whichever is first, and prints how many SYNs it sent in how many
 * seconds. It is a load for measuring and nothing else: it runs in a private network only, where nothing but the
 * benchmark's own veth pair can be reached, and refuses the network that the machine's first process is in.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 256, SIZE = 14 + 20 + 40, MOST_SECONDS = 60, MOST_SYNS = 50 * 1000 * 1000 };

static void fail(const char *what) {
    fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static int is_private(void) {
    char mine[64] = "", first[64] = "";
    if (readlink("/proc/self/ns/net", mine, sizeof mine - 1) < 0) return 0;
    if (readlink("/proc/1/ns/net", first, sizeof first - 1) < 0) return errno == EACCES && geteuid() == 0;
    return strcmp(mine, first) != 0;
}

static uint32_t sum(const uint8_t *data, int size) {
    uint32_t total = 0;
    for (int at = 0; at < size; at += 2) total += data[at] << 8 | data[at + 1];
    return total;
}

static void put16(uint8_t *at, uint32_t value) {
    at[0] = value >> 8;
    at[1] = value;
}

static void put32(uint8_t *at, uint32_t value) {
    put16(at, value >> 16);
    put16(at + 2, value);
}

static uint32_t complement(uint32_t total) {
    while (total >> 16) total = (total & 0xFFFF) + (total >> 16);
    return total ^ 0xFFFF;
}

static const uint8_t OPTIONS[20] = {2, 4, 5, 0xB4, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 7};

/* All but the source, its port, the sequence number, the timestamp and the checksums. */
static void prepare(uint8_t *frame, const uint8_t *to, const uint8_t *from, struct in_addr address, int port) {
    uint8_t *ip = frame + 14, *tcp = ip + 20;
    memcpy(frame, to, 6);
    memcpy(frame + 6, from, 6);
    put16(frame + 12, ETHERTYPE_IP);
    memcpy(ip, "\x45\0\0\x3c\0\0\x40\0\x40\6\0\0", 12);
    memcpy(ip + 16, &address, 4);
    put16(tcp + 2, port);
    memcpy(tcp + 12, "\xa0\2\xff\xff\0\0\0\0", 8);
    memcpy(tcp + 20, OPTIONS, 20);
}

static uint64_t state = 88172645463325252u;

static uint64_t draw(void) { /* xorshift64: the same SYNs each time */
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static void vary(uint8_t *frame) {
    uint8_t *ip = frame + 14, *tcp = ip + 20;
    uint64_t number = draw();
    put32(ip + 12, 0xC6120000 | (number & 0x1FFFF));
    put16(ip + 10, 0);
    put16(ip + 10, complement(sum(ip, 20)));
    put16(tcp, 1024 + (number >> 17) % 60000);
    put32(tcp + 4, number >> 32);
    put32(tcp + 28, number >> 20);
    put16(tcp + 16, 0);
    put16(tcp + 16, complement(sum(ip + 12, 8) + 6 + 40 + sum(tcp, 40)));
}

int main(int count, char **words) {
    if (count != 7) return fprintf(stderr, "usage: flood INTERFACE MAC ADDRESS PORT SECONDS COUNT\n"), 2;
    if (!is_private()) return fprintf(stderr, "flood: this is no private network\n"), 1;
    uint8_t mac[6], own[6] = {2, 0, 0, 0, 0, 1};
    struct in_addr address;
    double seconds = atof(words[5]);
    long most = atol(words[6]);
    if (sscanf(words[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) != 6 ||
        !inet_aton(words[3], &address) || seconds <= 0 || seconds > MOST_SECONDS || most <= 0 || most > MOST_SYNS)
        return fprintf(stderr, "flood: at most %d seconds and %d SYNs\n", MOST_SECONDS, MOST_SYNS), 2;
    int fd = socket(AF_PACKET, SOCK_RAW, 0), yes = 1;
    if (fd < 0) fail("socket");
    struct sockaddr_ll place = {.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(words[1])};
    if (!place.sll_ifindex || bind(fd, (void *)&place, sizeof place)) fail(words[1]);
    if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof yes)) fail("PACKET_QDISC_BYPASS");
    static uint8_t frames[BATCH][SIZE];
    static struct iovec pieces[BATCH];
    static struct mmsghdr messages[BATCH];
    for (int at = 0; at < BATCH; at++) {
        prepare(frames[at], mac, own, address, atoi(words[4]));
        pieces[at] = (struct iovec){frames[at], SIZE};
        messages[at].msg_hdr = (struct msghdr){.msg_iov = &pieces[at], .msg_iovlen = 1};
    }
    long sent = 0;
    double begun = now(), end = begun + seconds, at = begun;
    while (at < end && sent < most) {
        for (int one = 0; one < BATCH; one++) vary(frames[one]);
        int done = 0;
        while (done < BATCH) {
            int more = sendmmsg(fd, messages + done, BATCH - done, 0);
            if (more < 0 && errno != ENOBUFS && errno != EAGAIN) fail("sendmmsg");
            done += more > 0 ? more : 1; /* one that found no room is lost */
            sent += more > 0 ? more : 0;
        }
        at = now();
    }
    printf("%ld %f\n", sent, at - begun);
    return 0;
}
