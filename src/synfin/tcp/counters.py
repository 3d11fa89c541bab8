"""Counters of a stack. Names are Linux's (SNMP "Tcp:", "TcpExt:", "Ip:", "Icmp:") where the meaning is the same.

Rule for the next editor: a counter exists only if code increments it and a test reads it.
"""

from __future__ import annotations

from mypy_extensions import i64


class Counters:
    """What a stack has counted since it began."""

    def __init__(self) -> None:
        # Ip
        self.InReceives: i64 = 0
        self.InHdrErrors: i64 = 0  # malformed packets of any kind above the checksum
        self.InAddrErrors: i64 = 0  # not for an address of ours
        self.InUnknownProtos: i64 = 0
        self.ReasmFails: i64 = 0  # fragments: not reassembled, dropped
        self.OutDiscards: i64 = 0  # replies that found the outbox full, packets that nobody asked for
        self.InCEPkts: i64 = 0  # marked by a router (RFC 3168), where ECN was agreed on
        # Icmp
        self.InEchos: i64 = 0
        self.OutEchoReps: i64 = 0
        self.InDestUnreachs: i64 = 0
        self.OutOfWindowIcmps: i64 = 0  # quoted nothing that we have in flight (RFC 5927 4.1)
        self.OutRateLimitGlobal: i64 = 0  # errors not sent: the stack's limit
        self.OutRateLimitHost: i64 = 0  # ... their destination's
        # Udp
        self.InDatagrams: i64 = 0
        self.OutDatagrams: i64 = 0
        self.NoPorts: i64 = 0  # nobody listens there
        self.RcvbufErrors: i64 = 0  # the port's queue was full
        self.UdpFlowDrops: i64 = 0  # first datagrams for which there was no room
        # Tcp
        self.ActiveOpens: i64 = 0
        self.PassiveOpens: i64 = 0
        self.AttemptFails: i64 = 0
        self.EstabResets: i64 = 0
        self.InSegs: i64 = 0
        self.OutSegs: i64 = 0
        self.RetransSegs: i64 = 0
        self.InErrs: i64 = 0
        self.InCsumErrors: i64 = 0
        self.OutRsts: i64 = 0
        # TcpExt
        self.ListenOverflows: i64 = 0  # the accept queue was full
        self.ListenDrops: i64 = 0  # SYNs and final ACKs dropped for want of room
        self.TCPReqQFullDrop: i64 = 0  # the SYN queue was full, and no cookie could help
        self.TCPReqQFullDoCookies: i64 = 0
        self.SyncookiesSent: i64 = 0
        self.SyncookiesRecv: i64 = 0
        self.SyncookiesFailed: i64 = 0
        self.SyncookiesOvertaken: i64 = 0  # by what came before the ACK of a cookie: dropped, it comes again
        self.PAWSEstab: i64 = 0
        self.TSMissing: i64 = 0  # dropped, as Config.timestamps_required wants
        self.DelayedACKs: i64 = 0
        self.TCPTimeouts: i64 = 0
        self.TCPFastRetrans: i64 = 0
        self.TCPSackRecovery: i64 = 0  # ... found by RACK (RFC 8985), else by three duplicate ACKs (RFC 6582)
        self.TCPLossProbes: i64 = 0
        self.TCPLossProbeRecovery: i64 = 0  # ... that mended a loss which nothing else showed
        self.TCPFullUndo: i64 = 0  # recoveries taken back: nothing had been lost
        self.TCPSACKReneging: i64 = 0  # the peer dropped what it had reported
        self.TCPSACKDiscard: i64 = 0  # blocks that can't be true
        self.TCPWqueueTooBig: i64 = 0  # blocks not noted: they would have cut the scoreboard too fine
        self.TCPDSACKRecv: i64 = 0  # the peer got something twice (RFC 2883)
        self.TCPDSACKOldSent: i64 = 0  # we got something twice, and told so
        self.TCPDSACKOfoSent: i64 = 0  # ... something that waits behind a hole
        self.TCPEcnReductions: i64 = 0  # times that cwnd answered marks
        self.TCPChallengeACK: i64 = 0
        self.TCPACKSkippedChallenge: i64 = 0  # not sent: the connection's or the stack's limit
        self.TCPACKSkippedSynRecv: i64 = 0  # ... the half-open entry's limit
        self.TCPACKSkippedTimeWait: i64 = 0  # ... the TIME-WAIT record's limit
        self.TCPACKSkippedSeq: i64 = 0  # ... in answer to a bare ACK out of the window, or numbers no honest peer sends
        self.TCPOFOQueue: i64 = 0
        self.TCPOFODrop: i64 = 0
        self.TCPAbortOnData: i64 = 0
        self.TCPAbortOnTimeout: i64 = 0
        self.TCPAbortOnMemory: i64 = 0  # too many orphans, or no memory for one
        self.TCPMemoryPressures: i64 = 0  # times that memory became short
        self.PruneCalled: i64 = 0  # times that memory was full, and more came
        self.OfoPruned: i64 = 0  # connections that lost what waited behind holes: reneging, where it had been reported
        self.RcvPruned: i64 = 0  # segments dropped since memory was full and their reader behind
        self.TCPMTUPSuccess: i64 = 0  # probes of the path that arrived
        self.TCPMTUPFail: i64 = 0  # sizes given up, since their probes were lost
        self.TCPBlackHoles: i64 = 0  # paths on which large packets vanish without a word
        self.DestinationsDropped: i64 = 0  # hosts forgotten, to make room for what was learned of another
        self.TCPKeepAlive: i64 = 0
        self.TCPWinProbe: i64 = 0
        self.TCPTimeWaitOverflow: i64 = 0
        self.SynsHeld: i64 = 0  # that wait for what is to be answered to them
        self.SynsHeldAgain: i64 = 0  # that came again meanwhile
        self.SynsHeldDropped: i64 = 0  # that made room, or were never settled
        self.TW: i64 = 0  # TIME-WAIT records that ran out
        self.TWRecycled: i64 = 0  # taken over by a new SYN

    def as_dict(self) -> dict[str, int]:
        """All counters by name."""
        return {name: int(getattr(self, name)) for name in COUNTER_NAMES}


COUNTER_NAMES = (
    "InCEPkts TCPEcnReductions "
    "InReceives InHdrErrors InAddrErrors InUnknownProtos ReasmFails OutDiscards InEchos OutEchoReps InDestUnreachs "
    "OutOfWindowIcmps OutRateLimitGlobal OutRateLimitHost "
    "InDatagrams OutDatagrams NoPorts RcvbufErrors UdpFlowDrops ActiveOpens PassiveOpens AttemptFails EstabResets "
    "InSegs OutSegs RetransSegs InErrs InCsumErrors OutRsts ListenOverflows ListenDrops TCPReqQFullDrop "
    "TCPReqQFullDoCookies SyncookiesSent SyncookiesRecv SyncookiesFailed SyncookiesOvertaken PAWSEstab TSMissing "
    "DelayedACKs TCPTimeouts TCPFastRetrans TCPSackRecovery TCPLossProbes TCPLossProbeRecovery TCPFullUndo "
    "TCPSACKReneging TCPSACKDiscard TCPWqueueTooBig TCPDSACKRecv TCPDSACKOldSent TCPDSACKOfoSent TCPChallengeACK "
    "TCPACKSkippedChallenge TCPACKSkippedSynRecv TCPACKSkippedTimeWait TCPACKSkippedSeq TCPOFOQueue "
    "TCPOFODrop TCPAbortOnData TCPAbortOnTimeout TCPAbortOnMemory TCPKeepAlive TCPWinProbe TCPTimeWaitOverflow TW "
    "TWRecycled TCPMemoryPressures PruneCalled OfoPruned RcvPruned "
    "TCPMTUPSuccess TCPMTUPFail TCPBlackHoles DestinationsDropped "
    "SynsHeld SynsHeldAgain SynsHeldDropped"
).split()
