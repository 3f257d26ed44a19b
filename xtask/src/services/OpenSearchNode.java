import org.codelibs.opensearch.runner.OpenSearchRunner;

/** One node on loopback: HOME HTTP_PORT TRANSPORT_PORT. The runner's own main hides why a start fails. */
class OpenSearchNode {
    public static void main(String[] args) {
        OpenSearchRunner runner = new OpenSearchRunner();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                runner.close();
            } catch (Exception error) {
                error.printStackTrace();
            }
        }));
        try {
            runner.onBuild((number, settings) -> {
                settings.put("network.host", "127.0.0.1");
                settings.put("http.port", args[1]);
                settings.put("transport.port", args[2]);
                settings.put("discovery.type", "single-node");
                settings.putList("node.roles", "cluster_manager", "data", "ingest");
                // A developer's disk is fuller than a server's; it is no reason to refuse writes.
                settings.put("cluster.routing.allocation.disk.threshold_enabled", false);
            }).build(OpenSearchRunner.newConfigs()
                    .basePath(args[0]).clusterName("qgx-services").numOfNode(1).useLogger());
            Thread.currentThread().join();
        } catch (Throwable error) {
            error.printStackTrace();
            System.exit(1);
        }
    }
}
