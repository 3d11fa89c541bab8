/* A server on lwIP (Debian's liblwip), over a TUN device without offload.
 *
 *   lwip FD ADDRESS PEER PORT source|sink|echo|answer MTU
 *
 * Prints "ready", ends with its standard input. The raw interface: callbacks under the library's lock, which is what
 * lwIP is fastest with.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <lwip/ip.h>
#include <lwip/tcp.h>
#include <lwip/tcpip.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REQUEST = 64, ANSWER = 256, CHUNK = 32 * 1024, FRAME = 2048 }; /* the first two as in load.c */
enum { SOURCE, SINK, ECHO, ANSWERED };

static int device, mode, mtu;
static struct netif netif;
static const char zeros[CHUNK];

static err_t leave(struct netif *from, struct pbuf *packet, const ip4_addr_t *next)
{
    char frame[FRAME];
    (void)from, (void)next;
    u16_t size = pbuf_copy_partial(packet, frame, sizeof frame, 0);
    return write(device, frame, size) == size ? ERR_OK : ERR_IF;
}

static err_t set_up(struct netif *made)
{
    made->name[0] = 't', made->name[1] = 'n';
    made->output = leave;
    made->mtu = (u16_t)mtu;
    return ERR_OK;
}

static err_t close_it(struct tcp_pcb *connection)
{
    tcp_arg(connection, NULL);
    tcp_sent(connection, NULL);
    tcp_recv(connection, NULL);
    if (tcp_close(connection) == ERR_OK)
        return ERR_OK;
    tcp_abort(connection);
    return ERR_ABRT;
}

static err_t fill(void *state, struct tcp_pcb *connection, u16_t acknowledged)
{
    (void)state, (void)acknowledged;
    for (;;) {
        u16_t room = LWIP_MIN(tcp_sndbuf(connection), CHUNK);
        if (room == 0 || tcp_write(connection, zeros, room, 0) != ERR_OK)
            break;
    }
    tcp_output(connection);
    return ERR_OK;
}

static err_t got(void *state, struct tcp_pcb *connection, struct pbuf *text, err_t problem)
{
    (void)problem;
    if (text == NULL)
        return close_it(connection);
    u16_t size = text->tot_len;
    if (mode == ECHO) {
        char copy[CHUNK];
        u16_t length = pbuf_copy_partial(text, copy, sizeof copy, 0);
        tcp_write(connection, copy, length, TCP_WRITE_FLAG_COPY);
    }
    pbuf_free(text);
    tcp_recved(connection, size);
    if (mode == ANSWERED) {
        size_t all = (size_t)state + size;
        tcp_arg(connection, (void *)all);
        if (all >= REQUEST) {
            tcp_write(connection, zeros, ANSWER, 0);
            return close_it(connection);
        }
    }
    tcp_output(connection);
    return ERR_OK;
}

static err_t come(void *state, struct tcp_pcb *connection, err_t problem)
{
    (void)state;
    if (connection == NULL || problem != ERR_OK)
        return ERR_VAL;
    tcp_nagle_disable(connection);
    tcp_arg(connection, NULL);
    tcp_recv(connection, got);
    if (mode == SOURCE) {
        tcp_sent(connection, fill);
        fill(NULL, connection, 0);
    }
    return ERR_OK;
}

static void started(void *semaphore)
{
    sem_post(semaphore);
}

static void listen_at(const char *address, const char *peer, u16_t port)
{
    ip4_addr_t ours, mask, gateway;
    ip4addr_aton(address, &ours);
    ip4addr_aton(peer, &gateway);
    IP4_ADDR(&mask, 255, 255, 255, 0);
    LOCK_TCPIP_CORE();
    netif_add(&netif, &ours, &mask, &gateway, NULL, set_up, ip_input);
    netif_set_default(&netif);
    netif_set_link_up(&netif);
    netif_set_up(&netif);
    struct tcp_pcb *listener = tcp_new();
    if (tcp_bind(listener, IP_ADDR_ANY, port) != ERR_OK || (listener = tcp_listen_with_backlog(listener, 255)) == NULL) {
        fprintf(stderr, "lwip: listen failed\n");
        exit(1);
    }
    tcp_accept(listener, come);
    UNLOCK_TCPIP_CORE();
}

static void carry(void)
{
    struct pollfd watched[2] = {{.fd = 0, .events = POLLIN}, {.fd = device, .events = POLLIN}};
    while (poll(watched, 2, -1) > 0 || errno == EINTR) {
        char frame[FRAME];
        ssize_t size;
        if (watched[0].revents)
            exit(0);
        while ((size = read(device, frame, sizeof frame)) > 0) {
            struct pbuf *packet = pbuf_alloc(PBUF_RAW, (u16_t)size, PBUF_RAM);
            if (packet == NULL)
                continue;
            pbuf_take(packet, frame, (u16_t)size);
            LOCK_TCPIP_CORE();
            if (netif.input(packet, &netif) != ERR_OK)
                pbuf_free(packet);
            UNLOCK_TCPIP_CORE();
        }
    }
}

int main(int argc, char **argv)
{
    static const char *modes[] = {"source", "sink", "echo", "answer"};
    sem_t ready;
    if (argc != 7) {
        fprintf(stderr, "usage: lwip FD ADDRESS PEER PORT source|sink|echo|answer MTU; see lwip.c\n");
        return 2;
    }
    device = atoi(argv[1]);
    for (int i = 0; i < 4; i++)
        if (!strcmp(argv[5], modes[i]))
            mode = i;
    mtu = atoi(argv[6]);
    sem_init(&ready, 0, 0);
    tcpip_init(started, &ready);
    sem_wait(&ready);
    listen_at(argv[2], argv[3], (u16_t)atoi(argv[4]));
    puts("ready");
    fflush(stdout);
    carry();
    return 0;
}
