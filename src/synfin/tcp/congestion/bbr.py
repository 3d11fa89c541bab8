"""BBR, version 3: send as fast as the path delivers, with little more in flight than it holds. draft-ietf-ccwg-bbr.

`Model` is what BBR believes of the path; here are the states that probe it, and pacing rate and cwnd that follow from
both (5.3, 5.4, 5.5.10, 5.6). Names are the draft's. Its losses are answered per transmission and per round trip, never
by halving, so PRR is declined.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.tcp.congestion.base import FAST, LOSS, NONE, UNLIMITED, AckSample, CongestionControl
from synfin.tcp.congestion.bbr_model import BETA, NO_RTT, Model

# BBR.state; 0 is BBR.undo_state's "None"
STARTUP: Final = 1
DRAIN: Final = 2
PROBE_BW_DOWN: Final = 3
PROBE_BW_CRUISE: Final = 4
PROBE_BW_REFILL: Final = 5
PROBE_BW_UP: Final = 6
PROBE_RTT: Final = 7

# BBR.ack_phase
ACKS_INIT: Final = 0
ACKS_REFILLING: Final = 1
ACKS_PROBE_STARTING: Final = 2
ACKS_PROBE_FEEDBACK: Final = 3
ACKS_PROBE_STOPPING: Final = 4

LOSS_THRESH: Final = 0.02
HEADROOM: Final = 0.15
MIN_PIPE_CWND: Final = 4  # segments
STARTUP_PACING_GAIN: Final = 2.77
DRAIN_PACING_GAIN: Final = 0.5
PROBE_DOWN_PACING_GAIN: Final = 0.9
PROBE_UP_PACING_GAIN: Final = 1.25
DEFAULT_CWND_GAIN: Final = 2.0
PROBE_UP_CWND_GAIN: Final = 2.25
PROBE_RTT_CWND_GAIN: Final = 0.5
PACING_MARGIN: Final = 0.99  # 100 - PacingMarginPercent
STARTUP_FULL_LOSS_COUNT: Final = 6
DRAIN_ROUNDS: Final = 3
PROBE_RTT_DURATION: Final = 200_000  # microseconds
RENO_ROUNDS: Final = 63
PROBE_WAIT: Final = 2_000_000  # microseconds, and up to one second more
SEND_QUANTUM_MAX: Final = 65536
MOST_ROUNDS_UP: Final = 30  # so that 1 << rounds stays small


def to_bytes(volume: float) -> i64:
    """A volume as a whole number, however absurd the product."""
    return i64(volume) if volume < float(UNLIMITED) else UNLIMITED


class BBR(CongestionControl):
    """BBR version 3.

    loss_thresh is BBR.LossThresh, the part of a round trip's data that may be lost before the path counts as full
    (2 %). Raising it is for who *knows* that the path loses at random, by radio and not by queues:
    `Config(congestion_control=functools.partial(BBR, loss_thresh=0.5))`. Beyond the draft, losses below a raised
    threshold then lower the rate between probes no more than those while probing. WARNING: on any other path such a
    sender keeps the bottleneck's queue overflowing, at the cost of everyone who shares it. Raises ValueError unless it
    is within 0 and 1. seed: varies the random waits between probes; they depend on the times of ACKs anyway.
    """

    name = "bbr"
    uses_prr = False

    def __init__(self, mss: int, loss_thresh: float = LOSS_THRESH, seed: int = 0) -> None:
        super().__init__(mss)
        if not 0.0 < loss_thresh < 1.0:
            raise ValueError(f"loss_thresh must be within 0 and 1, not {loss_thresh}")
        self.model: Model = Model()
        self.state: i64 = STARTUP
        self.pacing_gain: float = STARTUP_PACING_GAIN
        self.cwnd_gain: float = DEFAULT_CWND_GAIN
        self.send_quantum: i64 = 2 * self.mss
        self.initial_cwnd: i64 = self.cwnd
        self.loss_thresh: float = loss_thresh
        self._started: bool = False
        self._random: i64 = seed & 0xFFFFFFFF
        self._recovery: i64 = NONE
        self._loss_events: i64 = 0  # ACKs of this round trip that showed losses
        self._lost_since_ack: bool = False
        self.drain_start_round: i64 = 0
        self.idle_restart: bool = False
        # probing for bandwidth
        self.inflight_longterm: i64 = UNLIMITED
        self.ack_phase: i64 = ACKS_INIT
        self.is_bw_probe_sample: bool = False
        self.probe_up_acked_per_inc: i64 = UNLIMITED
        self.bw_probe_up_acked: i64 = 0
        self.bw_probe_up_rounds: i64 = 0
        self.rounds_since_probe_up: i64 = 0
        self.bw_probe_wait: i64 = 0  # microseconds
        self.cycle_stamp: i64 = 0
        self.prev_probe_too_high: bool = False
        self.prev_probe_precautionary: bool = False
        # probing for the round trip
        self.probe_rtt_done_stamp: i64 = 0  # 0: not yet few enough in flight
        self.probe_rtt_round_done: bool = False
        # what was sent meanwhile, from and until that much was delivered, tells no rate (MarkConnectionAppLimited)
        self._limited_from: i64 = 0
        self._limited_until: i64 = -1
        # before the losses of late
        self.prior_cwnd: i64 = 0
        self.undo_state: i64 = 0
        self.undo_bw_shortterm: float = 0.0
        self.undo_inflight_shortterm: i64 = 0
        self.undo_inflight_longterm: i64 = 0
        self._saved: bool = False  # for the recovery that goes on, or is about to begin

    def start(self, mss: int, segments: int) -> None:
        """The handshake is done. The pacing rate stays the sender's, by cwnd and its round trip, until the first ACK:
        that is InitPacingRate's nominal bandwidth, with the handshake's sample for C.srtt."""
        super().start(mss, segments)
        self.initial_cwnd = self.cwnd

    # ---- an ACK (5.2.3) ----

    def on_ack(self, sample: AckSample) -> None:
        """UpdateOnACK: the model first, then the state, then what follows from both."""
        model = self.model
        if not self._started:
            self._begin(sample)
        if sample.lost > 0 or self._lost_since_ack:
            self._loss_events += 1
            self._lost_since_ack = False
        prior = sample.prior_delivered
        app_limited = sample.app_limited or self._limited_from <= prior <= self._limited_until
        tolerated = self.is_probing_bw() or (self.loss_thresh > LOSS_THRESH and not self._too_high(sample))
        model.on_ack(sample, app_limited, tolerated, self.cwnd)
        if model.round_start:
            self.rounds_since_probe_up += 1
        if self.state == STARTUP:
            self._check_startup_done(sample)
        if self.state == DRAIN:
            self._check_drain_done(sample)
        if model.full_bw_reached:
            self._update_probe_bw_cycle_phase(sample, app_limited)
        model.update_min_rtt(sample.rtt)
        self._check_probe_rtt(sample)
        model.end_ack(sample)
        self._set_pacing_rate(self.pacing_gain)
        self._set_send_quantum()
        self._set_cwnd(sample.acked)

    def _begin(self, sample: AckSample) -> None:
        """What of OnInit and InitPacingRate needs time and a round trip."""
        self._started = True
        self.model.start(sample)
        rtt = sample.srtt if sample.srtt > 0 else 1000
        self.pacing_rate = STARTUP_PACING_GAIN * float(self.cwnd) * 1000000.0 / float(rtt)

    # ---- Startup and Drain (5.3.1, 5.3.2) ----

    def _enter_startup(self) -> None:
        self.state = STARTUP
        self.pacing_gain = STARTUP_PACING_GAIN
        self.cwnd_gain = DEFAULT_CWND_GAIN
        self.ssthresh = UNLIMITED

    def _check_startup_done(self, sample: AckSample) -> None:
        self._check_startup_high_loss(sample)
        if self.model.full_bw_reached:
            self._enter_drain()

    def _check_startup_high_loss(self, sample: AckSample) -> None:
        """5.3.1.3: a round trip of fast recovery, LossThresh exceeded in it, and not all in one place.

        Places are counted as Linux does, by the ACKs that show losses: an ACK tells no offsets, a burst of losses comes
        to light at once, and out of order each segment is acknowledged at once.
        """
        if sample.recovery == FAST and (
            (self.model.loss_round_start and self._loss_events >= STARTUP_FULL_LOSS_COUNT and self._too_high(sample))
            or (not self.sack and self._loss_events > 0)
        ):
            self._leave_startup_congested()
        if self.model.loss_round_start:
            self._loss_events = 0

    def _leave_startup_congested(self) -> None:
        self.undo_state = STARTUP
        self.model.set_full()
        bdp = to_bytes(self._bdp_multiple(self.model.bw, 1.0))
        latest = self.model.inflight_latest
        self.inflight_longterm = bdp if bdp > latest else latest

    def _enter_drain(self) -> None:
        self.state = DRAIN
        self.pacing_gain = DRAIN_PACING_GAIN
        self.cwnd_gain = DEFAULT_CWND_GAIN
        self.drain_start_round = self.model.round_count
        # BBR has no use for ssthresh; who reads it, or takes over, learns that slow start is over.
        self.ssthresh = self._inflight(self.model.max_bw, 1.0)

    def _check_drain_done(self, sample: AckSample) -> None:
        model = self.model
        late = model.round_count > self.drain_start_round + DRAIN_ROUNDS
        if late or sample.in_flight <= self._inflight(model.bw, 1.0):
            self.cwnd_gain = DEFAULT_CWND_GAIN
            self._start_probe_bw_down()

    # ---- ProbeBW (5.3.3) ----

    def is_in_probe_bw(self) -> bool:
        """IsInAProbeBWState."""
        return PROBE_BW_DOWN <= self.state <= PROBE_BW_UP

    def is_probing_bw(self) -> bool:
        """Asking for more than the path is known to carry, so that losses are an answer and no news."""
        return self.state == STARTUP or self.state == PROBE_BW_REFILL or self.state == PROBE_BW_UP

    def _start_probe_bw_down(self) -> None:
        model = self.model
        model.reset_congestion_signals()
        self.probe_up_acked_per_inc = UNLIMITED  # not growing inflight_longterm
        self._pick_probe_wait()
        self.cycle_stamp = model.now
        self.ack_phase = ACKS_PROBE_STOPPING
        model.start_round()
        self._enter(PROBE_BW_DOWN, PROBE_DOWN_PACING_GAIN)

    def _start_probe_bw_cruise(self) -> None:
        self._enter(PROBE_BW_CRUISE, 1.0)

    def _start_probe_bw_refill(self) -> None:
        self.model.reset_short_term_model()
        self.bw_probe_up_rounds = 0
        self.bw_probe_up_acked = 0
        self.prev_probe_precautionary = False
        self.ack_phase = ACKS_REFILLING
        self.model.start_round()
        self._enter(PROBE_BW_REFILL, 1.0)

    def _start_probe_bw_up(self, rate: float) -> None:
        self.ack_phase = ACKS_PROBE_STARTING
        self.model.start_round()
        self.model.reset_full_bw(rate)
        self._enter(PROBE_BW_UP, PROBE_UP_PACING_GAIN)
        self._raise_inflight_longterm_slope()

    def _enter(self, state: i64, pacing_gain: float) -> None:
        self.state = state
        self.pacing_gain = pacing_gain
        self.cwnd_gain = PROBE_UP_CWND_GAIN if state == PROBE_BW_UP else DEFAULT_CWND_GAIN

    def _pick_probe_wait(self) -> None:
        """5.3.3.5.3: 0 or 1 rounds, and 2 to 3 seconds. The dice are a xorshift, stirred with the time of the ACK."""
        x = self._random ^ (self.model.now & 0xFFFFFFFF) ^ 0x9E3779B9
        x ^= (x << 13) & 0xFFFFFFFF
        x ^= x >> 17
        x ^= (x << 5) & 0xFFFFFFFF
        self._random = x
        self.rounds_since_probe_up = x & 1
        self.bw_probe_wait = PROBE_WAIT + (x >> 1) % 1_000_000

    def _update_probe_bw_cycle_phase(self, sample: AckSample, app_limited: bool) -> None:
        if self._adapt_long_term_model(sample, app_limited):
            return
        if self.state == PROBE_BW_DOWN:
            if not self._probe_bw_if_time() and self._is_time_to_cruise(sample.in_flight):
                self._start_probe_bw_cruise()
        elif self.state == PROBE_BW_CRUISE:
            self._probe_bw_if_time()
        elif self.state == PROBE_BW_REFILL:
            if self.model.round_start:
                self.is_bw_probe_sample = True
                self._start_probe_bw_up(sample.rate)
        elif self.state == PROBE_BW_UP and self._is_time_to_go_down(sample):
            self.prev_probe_too_high = False  # no high loss, yet
            self._start_probe_bw_down()

    def _probe_bw_if_time(self) -> bool:
        """IsTimeToProbeBW: the wait is over, or Reno's window would be as large as ours again."""
        elapsed = self.model.now > self.cycle_stamp + self.bw_probe_wait
        rounds = self._target_inflight() // self.mss
        if elapsed or self.rounds_since_probe_up >= (rounds if rounds < RENO_ROUNDS else RENO_ROUNDS):
            self._start_probe_bw_refill()
            return True
        return False

    def _is_time_to_cruise(self, in_flight: i64) -> bool:
        return in_flight <= self._inflight_with_headroom() and in_flight <= self._inflight(self.model.max_bw, 1.0)

    def _is_time_to_go_down(self, sample: AckSample) -> bool:
        # Reached when no segment more had room before this ACK: cwnd is held to inflight_longterm itself.
        if self.prev_probe_too_high and sample.prior_in_flight + self.mss > self.inflight_longterm:
            self.prev_probe_precautionary = True
            return True
        if sample.cwnd_limited and self.cwnd >= self.inflight_longterm:
            self.model.reset_full_bw(sample.rate)  # it is inflight_longterm that limits the rate
            return False
        return self.model.full_bw_now

    def _adapt_long_term_model(self, sample: AckSample, app_limited: bool) -> bool:
        """What the last probe has shown, once its ACKs are in. True: a new state was decided on."""
        model = self.model
        if model.round_start:
            if self.ack_phase == ACKS_PROBE_STARTING:
                self.ack_phase = ACKS_PROBE_FEEDBACK
            elif self.ack_phase == ACKS_PROBE_STOPPING:
                self.is_bw_probe_sample = False
                self.ack_phase = ACKS_INIT
                if self.is_in_probe_bw():
                    if not app_limited:
                        model.advance_max_bw_filter()
                    if self.prev_probe_precautionary and not self.prev_probe_too_high:
                        self._start_probe_bw_refill()  # the careful probe found no harm: now a whole one
                        return True
        if not self._too_high(sample) and self.inflight_longterm != UNLIMITED:
            if sample.tx_in_flight > self.inflight_longterm:
                self.inflight_longterm = sample.tx_in_flight
            if self.state == PROBE_BW_UP:
                self._probe_inflight_longterm_upward(sample)
        return False

    def _probe_inflight_longterm_upward(self, sample: AckSample) -> None:
        if not sample.cwnd_limited or self.cwnd < self.inflight_longterm:
            return  # not fully used: nothing proves that it could be more
        self.bw_probe_up_acked += sample.acked
        if self.bw_probe_up_acked >= self.probe_up_acked_per_inc:
            delta = self.bw_probe_up_acked // self.probe_up_acked_per_inc
            self.bw_probe_up_acked -= delta * self.probe_up_acked_per_inc
            self.inflight_longterm += delta * self.mss
        if self.model.round_start:
            self._raise_inflight_longterm_slope()

    def _raise_inflight_longterm_slope(self) -> None:
        """Twice as many segments a round trip as in the last."""
        per_increase = self.cwnd >> self.bw_probe_up_rounds
        if self.bw_probe_up_rounds < MOST_ROUNDS_UP:
            self.bw_probe_up_rounds += 1
        self.probe_up_acked_per_inc = per_increase if per_increase > self.mss else self.mss

    # ---- ProbeRTT (5.3.4) ----

    def _check_probe_rtt(self, sample: AckSample) -> None:
        model = self.model
        if model.probe_rtt_expired and self.state != PROBE_RTT and not self.idle_restart:
            self.state = PROBE_RTT
            self.pacing_gain = 1.0
            self.cwnd_gain = PROBE_RTT_CWND_GAIN
            self._save_cwnd()
            self.probe_rtt_done_stamp = 0
            self.ack_phase = ACKS_PROBE_STOPPING
            self._limited_from = model.delivered
            model.start_round()
        if self.state == PROBE_RTT:
            self._handle_probe_rtt(sample)
        if sample.rate_delivered > 0:
            self.idle_restart = False

    def _handle_probe_rtt(self, sample: AckSample) -> None:
        model = self.model
        self._limited_until = model.delivered + sample.in_flight
        if self.probe_rtt_done_stamp == 0:
            if sample.in_flight <= self._probe_rtt_cwnd():
                self.probe_rtt_done_stamp = model.now + PROBE_RTT_DURATION
                self.probe_rtt_round_done = False
                model.start_round()
            return
        if model.round_start:
            self.probe_rtt_round_done = True
        if self.probe_rtt_round_done:
            self._check_probe_rtt_done(model.now)

    def _check_probe_rtt_done(self, now: i64) -> None:
        model = self.model
        if self.probe_rtt_done_stamp == 0 or now <= self.probe_rtt_done_stamp:
            return
        model.probe_rtt_min_stamp = now
        self._restore_cwnd()
        model.reset_short_term_model()
        if model.full_bw_reached:
            self._start_probe_bw_down()
            self._start_probe_bw_cruise()  # what is in flight is below the BDP already
        else:
            self._enter_startup()

    # ---- idleness (5.4) ----

    def on_transmit(self, now: int, in_flight: int, app_limited: bool) -> None:
        """HandleRestartFromIdle: at exactly the path's rate, and a ProbeRTT that is over meanwhile is left."""
        if in_flight != 0 or not (app_limited or self.model.delivered <= self._limited_until):
            return
        self.idle_restart = True
        self.model.extra_acked_interval_start = now
        if self.is_in_probe_bw():
            self._set_pacing_rate(1.0)
        elif self.state == PROBE_RTT:
            self._check_probe_rtt_done(now)

    def on_idle(self, now: int, segments: int) -> None:
        """cwnd stays: pacing takes the place of the ACK clock (5.4.2)."""

    # ---- losses (5.5.10) ----

    def on_packet_lost(self, size: int, tx_in_flight: int, lost: int, app_limited: bool) -> None:
        """HandleLostPacket: while it probes, the first transmission that makes the losses too many is the bound."""
        self._note_loss()
        self._lost_since_ack = True
        if not self.is_bw_probe_sample:
            return
        if float(lost) > float(tx_in_flight) * self.loss_thresh or not self.sack:
            self._handle_inflight_too_high(self._inflight_at_loss(size, tx_in_flight, lost), app_limited)

    def on_loss(self, now: int, in_flight: int) -> None:
        """Fast recovery begins: cwnd stays, only what may have to be restored is noted."""
        self._note_loss()
        self._recovery = FAST

    def on_rto(self, now: int, in_flight: int, first: bool) -> None:
        """OnEnterRTO: cwnd lets one segment out, and grows by what is acknowledged from there."""
        if first and self._recovery != NONE:
            self._saved = False  # what may prove spurious is the timeout alone
        self._note_loss()
        self._recovery = LOSS
        self.cwnd = self.mss

    def on_ecn(self, now: int, in_flight: int) -> None:
        """The draft leaves the answer open, but wants one (3.8): a mark counts as a round trip with too many losses."""
        self.model.note_congestion()
        if self.state == STARTUP:
            self._leave_startup_congested()
            self._enter_drain()
        elif self.is_bw_probe_sample:
            self._handle_inflight_too_high(in_flight, False)
        self.undo_state = 0  # a mark is no guess

    def on_recovered(self, now: int) -> None:
        """The last known good cwnd; the ACK in hand bounds it by the model."""
        self._recovery = NONE
        self._saved = False
        self._restore_cwnd()

    def undo(self) -> None:
        """HandleSpuriousLossDetection."""
        model = self.model
        self._recovery = NONE
        self._saved = False
        self._restore_cwnd()
        model.is_loss_in_round = False
        model.reset_full_bw(0.0)
        if model.bw_shortterm < self.undo_bw_shortterm:
            model.bw_shortterm = self.undo_bw_shortterm
        if model.inflight_shortterm < self.undo_inflight_shortterm:
            model.inflight_shortterm = self.undo_inflight_shortterm
        if self.inflight_longterm < self.undo_inflight_longterm:
            self.inflight_longterm = self.undo_inflight_longterm
        before = self.undo_state
        self.undo_state = 0
        if before == STARTUP and self.state != STARTUP:
            model.full_bw_reached = False
            if self.state != PROBE_RTT:
                self._enter_startup()
        elif before == PROBE_BW_UP and self.state != PROBE_BW_UP and self.state != PROBE_RTT:
            self._start_probe_bw_refill()

    def _note_loss(self) -> None:
        self.model.note_congestion()
        self._save_cwnd()
        if self._saved:
            return
        # SaveStateUponLoss: once a recovery, or its second round trip would be what undo goes back to
        self._saved = True
        self.undo_state = 0
        self.undo_bw_shortterm = self.model.bw_shortterm
        self.undo_inflight_shortterm = self.model.inflight_shortterm
        self.undo_inflight_longterm = self.inflight_longterm

    def _too_high(self, sample: AckSample) -> bool:
        """IsInflightTooHigh, for what was lost since the newest data delivered now was sent."""
        if not self.sack:
            return sample.rate_lost > 0
        return float(sample.rate_lost) > float(sample.tx_in_flight) * self.loss_thresh

    def _handle_inflight_too_high(self, tx_in_flight: i64, app_limited: bool) -> None:
        self.prev_probe_too_high = True
        self.is_bw_probe_sample = False  # once a probe
        if not app_limited:
            least = i64(BETA * float(self._target_inflight()))
            self.inflight_longterm = tx_in_flight if tx_in_flight > least else least
        if self.state == PROBE_BW_UP:
            self.undo_state = PROBE_BW_UP
            self._start_probe_bw_down()

    def _inflight_at_loss(self, size: i64, tx_in_flight: i64, lost: i64) -> i64:
        """How much was in flight when, within this transmission, the losses became too many."""
        inflight_prev = tx_in_flight - size
        lost_prev = lost - size
        budget = self.loss_thresh * float(inflight_prev) - float(lost_prev)
        if budget <= 0.0:
            return inflight_prev
        return inflight_prev + i64(budget / (1.0 - self.loss_thresh))

    # ---- what follows (5.6) ----

    def _bdp_multiple(self, bw: float, gain: float) -> float:
        if self.model.min_rtt == NO_RTT:
            return float(self.initial_cwnd)
        return gain * self.model.bdp(bw)

    def _target_inflight(self) -> i64:
        bdp = to_bytes(self._bdp_multiple(self.model.bw, 1.0))
        return bdp if bdp < self.cwnd else self.cwnd

    def _quantization_budget(self, volume: i64) -> i64:
        """At least what offloads at both ends keep (5.5.8), and what delayed ACKs need."""
        least = 3 * self.send_quantum
        if volume < least:
            volume = least
        least = MIN_PIPE_CWND * self.mss
        if volume < least:
            volume = least
        return volume + 2 * self.mss if self.state == PROBE_BW_UP else volume

    def _inflight(self, bw: float, gain: float) -> i64:
        return self._quantization_budget(to_bytes(self._bdp_multiple(bw, gain)))

    def _inflight_with_headroom(self) -> i64:
        """Room that is left for others."""
        if self.inflight_longterm == UNLIMITED:
            return UNLIMITED
        headroom = i64(HEADROOM * float(self.inflight_longterm))
        left = self.inflight_longterm - (headroom if headroom > self.mss else self.mss)
        least = MIN_PIPE_CWND * self.mss
        return left if left > least else least

    def _probe_rtt_cwnd(self) -> i64:
        volume = to_bytes(self._bdp_multiple(self.model.bw, PROBE_RTT_CWND_GAIN))
        least = MIN_PIPE_CWND * self.mss
        return volume if volume > least else least

    def _set_pacing_rate(self, gain: float) -> None:
        rate = gain * self.model.bw * PACING_MARGIN
        if self.model.full_bw_reached or rate > self.pacing_rate:
            self.pacing_rate = rate

    def _set_send_quantum(self) -> None:
        carried = self.pacing_rate / 1000.0
        quantum = i64(carried) if carried < float(SEND_QUANTUM_MAX) else SEND_QUANTUM_MAX
        least = 2 * self.mss
        self.send_quantum = quantum if quantum > least else least

    def _set_cwnd(self, acked: i64) -> None:
        model = self.model
        volume = to_bytes(self._bdp_multiple(model.bw, self.cwnd_gain)) + model.extra_acked
        max_inflight = self._quantization_budget(volume)
        cwnd = self.cwnd
        if model.full_bw_reached:
            cwnd += acked
            if cwnd > max_inflight:
                cwnd = max_inflight
        elif cwnd < max_inflight or model.delivered < self.initial_cwnd:
            cwnd += acked
        cap: i64 = UNLIMITED
        if self.state == PROBE_RTT:
            cap = self._inflight_with_headroom()
            if cap > self._probe_rtt_cwnd():
                cap = self._probe_rtt_cwnd()
        elif self.state == PROBE_BW_CRUISE:
            cap = self._inflight_with_headroom()
        elif self.is_in_probe_bw():
            cap = self.inflight_longterm
        if cap > model.inflight_shortterm:
            cap = model.inflight_shortterm
        if cwnd > cap:
            cwnd = cap
        least = MIN_PIPE_CWND * self.mss
        self.cwnd = cwnd if cwnd > least else least

    def _save_cwnd(self) -> None:
        """The last known good one: before recovery and ProbeRTT."""
        if (self._recovery == NONE and self.state != PROBE_RTT) or self.prior_cwnd < self.cwnd:
            self.prior_cwnd = self.cwnd

    def _restore_cwnd(self) -> None:
        if self.cwnd < self.prior_cwnd:
            self.cwnd = self.prior_cwnd
