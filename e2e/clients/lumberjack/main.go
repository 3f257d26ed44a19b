// Command lumberjack sends numbered events by Lumberjack v2 as go-lumber does, and prints how many were acknowledged.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	client "github.com/elastic/go-lumber/client/v2"
)

func main() {
	to := flag.String("to", "", "HOST:PORT")
	tag := flag.String("tag", "", "a word in each message")
	windows := flag.Int("windows", 1, "windows to send")
	size := flag.Int("size", 1, "events in a window")
	level := flag.Int("compress", 0, "level of compression, 0 for none")
	flag.Parse()
	if err := send(*to, *tag, *windows, *size, *level); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func send(to, tag string, windows, size, level int) error {
	conn, err := client.SyncDial(to, client.CompressionLevel(level), client.Timeout(30*time.Second))
	if err != nil {
		return err
	}
	defer conn.Close()
	acknowledged := 0
	for window := 0; window < windows; window++ {
		events := make([]interface{}, size)
		for i := range events {
			events[i] = map[string]interface{}{
				"@timestamp": time.Now().UTC().Format(time.RFC3339Nano),
				"message":    fmt.Sprintf("펌프 %s 압력 이상 number %d", tag, window*size+i),
				"host":       map[string]interface{}{"name": "beat-" + tag},
				"fields":     map[string]interface{}{"site": "부산"},
				"value":      window*size + i,
			}
		}
		count, err := conn.Send(events)
		acknowledged += count
		if err != nil {
			return fmt.Errorf("after %d acknowledged: %w", acknowledged, err)
		}
	}
	fmt.Println(acknowledged)
	return nil
}
