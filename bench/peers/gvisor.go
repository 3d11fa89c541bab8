// A server on gVisor's netstack, over a TUN device or a packet socket.
//
//	gvisor FD ADDRESS PEER PORT source|sink|echo|answer MTU        the descriptor of a TUN device without a virtio header
//	gvisor FD ADDRESS PEER PORT ... MTU ETHERNET                   of a packet socket on the interface with that address
//	gvisor FD ADDRESS PEER PORT ... MTU ETHERNET GSO               the same with PACKET_VNET_HDR: bursts of GSO bytes
//
// Prints "ready", ends with its standard input. `fdbased` gives segmentation offload to sockets alone.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/fdbased"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

const (
	bulk       = 256 * 1024
	request    = 64 // as in load.c
	answer     = 256
	mostBuffer = 6 << 20 // as Linux's tcp_rmem[2]
)

func must(what string, problem interface{}) {
	switch reason := problem.(type) {
	case nil:
		return
	case tcpip.Error:
		fmt.Fprintf(os.Stderr, "gvisor: %s: %s\n", what, reason)
	default:
		fmt.Fprintf(os.Stderr, "gvisor: %s: %v\n", what, reason)
	}
	os.Exit(1)
}

func number(text string) int {
	value, problem := strconv.Atoi(text)
	must("a number", problem)
	return value
}

func link(arguments []string) stack.LinkEndpoint {
	options := &fdbased.Options{
		FDs:                []int{number(arguments[1])},
		MTU:                uint32(number(arguments[6])),
		PacketDispatchMode: fdbased.RecvMMsg,
	}
	if len(arguments) > 7 {
		ethernet, problem := net.ParseMAC(arguments[7])
		must("the Ethernet address", problem)
		options.EthernetHeader = true
		options.Address = tcpip.LinkAddress(ethernet)
	}
	if len(arguments) > 8 {
		options.GSOMaxSize = uint32(number(arguments[8]))
		options.RXChecksumOffload = true
	}
	made, problem := fdbased.New(options)
	must("the link", problem)
	return made
}

func network(arguments []string) (*stack.Stack, tcpip.Address) {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
	})
	sack := tcpip.TCPSACKEnabled(true)
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4096, Default: 1 << 20, Max: mostBuffer}
	send := tcpip.TCPSendBufferSizeRangeOption{Min: 4096, Default: 1 << 20, Max: mostBuffer}
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	for _, option := range []tcpip.SettableTransportProtocolOption{&sack, &receive, &send, &moderate} {
		if problem := s.SetTransportProtocolOption(tcp.ProtocolNumber, option); problem != nil {
			must("an option", problem)
		}
	}
	if problem := s.CreateNIC(1, link(arguments)); problem != nil {
		must("the interface", problem)
	}
	address := tcpip.Address(net.ParseIP(arguments[2]).To4())
	protocol := tcpip.ProtocolAddress{
		Protocol:          ipv4.ProtocolNumber,
		AddressWithPrefix: tcpip.AddressWithPrefix{Address: address, PrefixLen: 24},
	}
	if problem := s.AddProtocolAddress(1, protocol, stack.AddressProperties{}); problem != nil {
		must("the address", problem)
	}
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: 1}})
	return s, address
}

func serve(connection net.Conn, mode string) {
	defer connection.Close()
	buffer := make([]byte, bulk)
	for {
		size, problem := bulk, error(nil)
		switch mode {
		case "answer":
			size = request
			_, problem = io.ReadFull(connection, buffer[:request])
		case "sink", "echo":
			size, problem = connection.Read(buffer)
		}
		if problem != nil {
			return
		}
		if mode == "sink" {
			continue
		}
		if mode == "answer" {
			size = answer
		}
		if _, problem = connection.Write(buffer[:size]); problem != nil || mode == "answer" {
			return
		}
	}
}

func main() {
	if len(os.Args) < 7 {
		fmt.Fprintln(os.Stderr, "usage: gvisor FD ADDRESS PEER PORT MODE MTU [ETHERNET [GSO]]; see gvisor.go")
		os.Exit(2)
	}
	s, address := network(os.Args)
	port := uint16(number(os.Args[4]))
	listener, problem := gonet.ListenTCP(s, tcpip.FullAddress{NIC: 1, Addr: address, Port: port}, ipv4.ProtocolNumber)
	must("listen", problem)
	go func() {
		for {
			connection, problem := listener.Accept()
			must("accept", problem)
			go serve(connection, os.Args[5])
		}
	}()
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
}
