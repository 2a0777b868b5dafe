import type { AuthProvider } from "react-admin";
import { Admin, Form, Login, PasswordInput, Resource, SaveButton, useLogin } from "react-admin";
import { createRoot } from "react-dom/client";
import { makeDataProvider } from "./dataProvider";
import { connect } from "./graphql";
import { UserCreate, UserEdit, UserList, UserShow } from "./users";

// docs: token
// A token that is pasted. An app with Amplify has, in place of all of this:
//   const getToken = async () => (await fetchAuthSession()).tokens!.accessToken.toString();
const getToken = async () => sessionStorage.getItem("token") ?? "";

const authProvider: AuthProvider = {
  login: async ({ token }) => sessionStorage.setItem("token", token),
  logout: async () => sessionStorage.removeItem("token"),
  checkAuth: async () => {
    if (!(await getToken())) throw new Error("Paste a token.");
  },
  checkError: async ({ status }) => {
    if (status === 401) throw new Error("The token has expired.");
  },
};
// docs: end

function LoginPage() {
  const login = useLogin();
  return (
    <Login>
      <Form onSubmit={(values: object) => login(values)}>
        <PasswordInput source="token" label="Token" fullWidth />
        <SaveButton label="Use it" alwaysEnable />
      </Form>
    </Login>
  );
}

const url = import.meta.env.VITE_GRAPHQL_URL ?? "/graphql";
const dataProvider = makeDataProvider(connect(url, getToken));

createRoot(document.getElementById("root")!).render(
  <Admin dataProvider={dataProvider} authProvider={authProvider} loginPage={LoginPage} disableTelemetry>
    <Resource
      name="users"
      list={UserList}
      show={UserShow}
      edit={UserEdit}
      create={UserCreate}
      recordRepresentation="username"
    />
    <Resource name="groups" />
  </Admin>,
);
