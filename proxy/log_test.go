package proxy_test

import (
	"io"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// logTo writes every line, debug included, as JSON.
func logTo(w io.Writer) *zap.Logger {
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.Lock(zapcore.AddSync(w)), zapcore.DebugLevel))
}
