package policy

// Settle waits until memory has taken in, or turned away, what was handed to it. It does
// so on its own time: on one processor, not before others rest.
func (v View) Settle() {
	if m := v.engine.memory; m.cache != nil {
		m.cache.Wait()
	}
}
