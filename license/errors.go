package license

// ErrorClass is what stands behind a failure, in a form that programs can ask for with [errors.Is]. The errors of this
// package wrap what caused them, so errors.Is also finds the classes of package polar, such as polar.ErrAPIVersion. No
// error holds a license key.
type ErrorClass string

// Classes of errors.
const (
	// ErrInvalid says that Polar knows no such key, or one that is revoked, disabled or expired, or that the activation of
	// this machine was removed. Polar does not tell which.
	ErrInvalid ErrorClass = "not valid"
	// ErrExpired says that the time of the license is over, by what Polar said when it was asked last.
	ErrExpired ErrorClass = "expired"
	// ErrOtherProduct says that the key is good, but for none of the benefits given to [WithBenefits].
	ErrOtherProduct ErrorClass = "for another product"
	// ErrNotActivated says that this machine has no license.
	ErrNotActivated ErrorClass = "not activated on this machine"
	// ErrActivationLimit says that the key is activated on as many machines as it may be.
	ErrActivationLimit ErrorClass = "activated as often as it may be"
	// ErrActivationInDoubt says that the key is good, but that it is not known which of its activations belongs to this
	// machine: the answer to [Client.Activate] was lost, or activations were introduced later. The license is usable
	// for one grace period. Activate it again before that ends.
	ErrActivationInDoubt ErrorClass = "activation of this machine is not known"
	// ErrUsageLimit says that the key has fewer uses left than were asked for.
	ErrUsageLimit ErrorClass = "usage limit reached"
	// ErrGraceOver says that Polar has not confirmed the license for too long.
	ErrGraceOver ErrorClass = "not confirmed for too long"
	// ErrClockMovedBack says that the clock shows an earlier time than at the check before, so that it cannot be told how
	// much of the grace period has passed. The next answer of Polar mends that.
	ErrClockMovedBack ErrorClass = "clock was moved back"
	// ErrTooSoon says that Polar was not asked because it was asked a short while ago, or because it wanted to be left
	// alone for longer.
	ErrTooSoon ErrorClass = "too soon to ask again"
	// ErrOtherMachine says that the saved state was made on another machine.
	ErrOtherMachine ErrorClass = "saved state belongs to another machine"
	// ErrUntrusted says that the saved state was changed by something else than this package, or belongs to other
	// conditions than those of [WithConditions]. It counts again when Polar has confirmed it.
	ErrUntrusted ErrorClass = "saved state is not trusted"
	// ErrCorrupt says that the saved state cannot be read and the key has to be entered again.
	ErrCorrupt ErrorClass = "saved state is damaged"
	// ErrStore says that the [Store] failed.
	ErrStore ErrorClass = "saved state is out of reach"
)

// Error returns the class in words.
func (c ErrorClass) Error() string { return "license: " + string(c) }

// classError is an error of a class with a text and a cause, either of which may be missing.
type classError struct {
	class ErrorClass
	text  string
	cause error
}

func (e *classError) Error() string {
	s := e.class.Error()
	if e.text != "" {
		s += ": " + e.text
	}
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

func (e *classError) Unwrap() []error {
	if e.cause == nil {
		return []error{e.class}
	}
	return []error{e.class, e.cause}
}

func fail(class ErrorClass, text string, cause error) error {
	return &classError{class: class, text: text, cause: cause}
}
