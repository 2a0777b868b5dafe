// docs: environment
import { Environment, Network, RecordSource, Store, type FetchFunction } from "relay-runtime";

export function makeEnvironment(url: string, token: string): Environment {
  const send: FetchFunction = async (request, variables) => {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify({ query: request.text, variables }),
    });
    // Relay keeps what came with field errors, and throws where there is no data at all.
    return response.json();
  };
  return new Environment({ network: Network.create(send), store: new Store(new RecordSource()) });
}
// docs: end
